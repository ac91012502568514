/**
 * How an operator that comes to lead copes with many jobs: requests to the API server, and the time
 * from a change of a job to the operator's action on it while the takeover is under way.
 *
 *   node bench/operator-takeover.ts [jobs] [milliseconds of a request]
 *
 * The API server is the tests' own, in this process, so its CPU time counts too. The jobs have no
 * pods. Exit code 1 when p99 is a second or more.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { systemClock } from '#runtime/base/clock'
import { silentLogger } from '#runtime/base/logger'
import { streamJobSpec } from '#operator/api/v1alpha1/stream-job'
import { operatorConfig } from '#operator/config'
import { Operator } from '#operator/operator'
import { TestApiServer } from '#test/kit/kube-api-server'

const jobs = Number(process.argv[2] ?? 300)
const latencyMs = Number(process.argv[3] ?? 5)
const CHANGES = Math.min(100, jobs)
const CHANGE_EVERY_MS = 10
const QUIET_MS = 1500

const api = await TestApiServer.start()
const pathOf = (index: number) => `/apis/weir.dev/v1alpha1/namespaces/shop/streamjobs/job-${index}`
const setOf = (index: number) => `/apis/apps/v1/namespaces/shop/replicasets/job-${index}-tm-1`

function submit(index: number, replicas: number, generation: number): void {
  const path = pathOf(index)
  const existing = api.objects.get(path)
  const metadata = { ...existing?.metadata, name: `job-${index}`, namespace: 'shop', generation }
  const spec = streamJobSpec.parse({
    job: { inline: 'export default 1' },
    parallelism: 1,
    taskManager: { replicas },
  })
  api.put(path, { apiVersion: 'weir.dev/v1alpha1', kind: 'StreamJob', ...existing, metadata, spec })
}

function startOperator(identity: string) {
  const stop = new AbortController()
  const defaults = { image: 'weir:1', storage: { s3: { bucket: 'shared', credentialsSecret: 's3-root' } } }
  const operator = new Operator({
    config: operatorConfig.parse({ server: { host: '127.0.0.1', port: 0 }, defaults }),
    client: api.client(),
    namespace: 'weir',
    identity,
    clock: systemClock,
    random: Math.random,
    logger: silentLogger,
  })
  const running = operator.run(stop.signal)
  return async () => {
    stop.abort()
    await running
  }
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await pause(5)
}

/** Until nobody has asked for anything for a while; the Lease does not count. */
async function untilQuiet(): Promise<number> {
  const work = () => api.requests.filter((r) => !r.path.includes('/leases')).length
  let [seen, since] = [work(), performance.now()]
  while (performance.now() - since < QUIET_MS) {
    await pause(50)
    if (work() !== seen) [seen, since] = [work(), performance.now()]
  }
  return since
}

const kubeSystem = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'kube-system' } }
api.put('/api/v1/namespaces/kube-system', kubeSystem)
api.put('/api/v1/namespaces/weir/secrets/s3-root', {
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 's3-root', namespace: 'weir' },
  data: { AWS_ACCESS_KEY_ID: 'YQ==', AWS_SECRET_ACCESS_KEY: 'YQ==' },
})
for (let index = 0; index < jobs; index++) submit(index, 1, 1)
const stopFirst = startOperator('first')
await until(() => [...Array(jobs).keys()].every((index) => api.objects.has(setOf(index))))
await untilQuiet()
await stopFirst()

api.latencyMs = latencyMs
api.requests.length = 0
const changedAt = new Map<string, number>()
const actedAfter: number[] = []
api.intercept = ({ method, path }) => {
  const at = changedAt.get(path)
  if (method === 'PATCH' && at !== undefined) {
    actedAfter.push(performance.now() - at)
    changedAt.delete(path)
  }
  return false
}
const stopSecond = startOperator('second')
await until(() => api.requests.some((r) => r.method === 'PUT' && r.path.includes('/leases')))
const startedAt = performance.now()
const before = api.requests.length
for (let change = 0; change < CHANGES; change++) {
  const index = Math.floor(((change + 0.5) * jobs) / CHANGES)
  changedAt.set(setOf(index), performance.now())
  submit(index, 2, 2)
  await pause(CHANGE_EVERY_MS)
}
await until(() => actedAfter.length === CHANGES)
const quietAt = await untilQuiet()
const isWork = (r: { path: string; query: URLSearchParams }) =>
  !r.path.includes('/leases') && !r.query.has('watch') && !r.path.endsWith('/events')
const requests = api.requests.slice(before).filter(isWork)
const sorted = actedAfter.toSorted((a, b) => a - b)
const at = (share: number) => Math.round(sorted[Math.ceil(share * sorted.length) - 1] ?? 0)
console.log(
  `${jobs} jobs, ${latencyMs} ms a request: ${(requests.length / jobs).toFixed(1)} requests per job, ` +
    `quiet after ${((quietAt - startedAt) / 1000).toFixed(1)} s; ` +
    `change to action p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, most ${at(1)} ms; ` +
    `${Math.round(process.memoryUsage().rss / 2 ** 20)} MB`,
)
process.exitCode = at(0.99) < 1000 ? 0 : 1
await stopSecond()
await api.close()
