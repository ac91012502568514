/**
 * What many jobs cost an operator at rest, and how one that comes to lead copes with them.
 *
 *   npm run build
 *   node bench/operator-scale.ts [jobs] [milliseconds of a request] [seconds at rest]
 *
 * Every job has two JobManagers, three TaskManagers, and a checkpoint each ten seconds. The
 * operator is a process of its own, as in its pod; the API server is the tests' own, and with all
 * JobManagers in this process. Measured: memory and CPU time of the operator, requests and bytes of
 * a job at rest, and the time from a change of a job to the operator's action on it while a
 * takeover is under way. Exit code 1 when its 99th percentile is a second or more.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { ports } from '#operator/resources/names'
import { type SeenRequest, TestApiServer } from '#test/kit/kube-api-server'
import { isRunning, makePods, prepare, setOf, submit, uidOf } from './operator/fleet.ts'
import { JobManagers } from './operator/job-managers.ts'
import { OperatorProcess } from './operator/operator-process.ts'

const jobs = Number(process.argv[2] ?? 300)
const latencyMs = Number(process.argv[3] ?? 5)
const restSeconds = Number(process.argv[4] ?? 60)
const CHANGES = Math.min(100, jobs)
const CHANGE_EVERY_MS = 10
const QUIET_MS = 3000

const indices = [...Array(jobs).keys()]
const isLeaseCall = ({ path }: SeenRequest) => path.includes('/leases')
const isRead = ({ method }: SeenRequest) => method === 'GET'

const api = await TestApiServer.start()
prepare(api)
const first = await OperatorProcess.start(api.url, 'first')
for (const index of indices) submit(api, index)
await until(first, 'all jobs have workloads', () => indices.every((index) => api.objects.has(setOf(index))))
const uids = new Map(indices.map((index) => [index, uidOf(api, index)]))
await using jobManagers = await JobManagers.start(ports.rest, uids)
for (const index of indices) makePods(api, index)
await until(first, 'all jobs run', () => indices.every((index) => isRunning(api, index)))
await quiet()
console.log(`${jobs} jobs, ${jobManagers.streams} streams of ${jobManagers.factsBytes} bytes each second`)
await rest(first)
await first[Symbol.asyncDispose]()

api.latencyMs = latencyMs
const second = await OperatorProcess.start(api.url, 'second')
const p99 = await takeOver(second)
const { rssMb } = await second.usage()
console.log(`after the takeover: ${rssMb.toFixed(0)} MB resident`)
await second[Symbol.asyncDispose]()
await api.close()
process.exitCode = p99 < 1000 ? 0 : 1

async function until(operator: OperatorProcess, what: string, isSo: () => boolean): Promise<void> {
  const limit = performance.now() + 900_000
  while (!isSo()) {
    operator.check()
    if (performance.now() > limit) throw new Error(`Not within 15 minutes: ${what}`)
    await pause(20)
  }
}

/** No objects but statuses have been written for a while: those of checkpoints never end. */
async function quiet(): Promise<void> {
  const work = () => api.requests.filter((r) => !isLeaseCall(r) && !r.path.endsWith('/status')).length
  let [seen, since] = [work(), performance.now()]
  while (performance.now() - since < QUIET_MS) {
    await pause(100)
    if (work() !== seen) [seen, since] = [work(), performance.now()]
  }
}

async function rest(operator: OperatorProcess): Promise<void> {
  api.requests.length = 0
  const [bytes, usage] = [api.traffic, await operator.usage()]
  await pause(restSeconds * 1000)
  const [bytesAfter, usageAfter] = [api.traffic, await operator.usage()]
  const work = api.requests.filter((r) => !isLeaseCall(r))
  const perJobAndHour = (n: number) => ((n / jobs) * 3600) / restSeconds
  const statuses = work.filter((r) => r.method === 'PUT' && r.path.endsWith('/status')).length
  const reads = work.filter(isRead).length
  const cpu = (usageAfter.cpuSeconds - usage.cpuSeconds) / restSeconds
  console.log(
    `at rest, per job and hour: ${perJobAndHour(statuses).toFixed(0)} writes of the status, ` +
      `${perJobAndHour(reads).toFixed(0)} reads, ` +
      `${perJobAndHour(work.length - statuses - reads).toFixed(0)} others; ` +
      `${kib(perJobAndHour(bytesAfter.received - bytes.received))} sent to the API server, ` +
      `${kib(perJobAndHour(bytesAfter.sent - bytes.sent))} received from it`,
  )
  console.log(`at rest: ${usageAfter.rssMb.toFixed(0)} MB resident, ${(100 * cpu).toFixed(0)} % of a core`)
}

function kib(bytes: number): string {
  return `${(bytes / 1024).toFixed(0)} KiB`
}

/** Changes single jobs while the second operator looks at all of them; gives p99 in ms. */
async function takeOver(operator: OperatorProcess): Promise<number> {
  const changedAt = new Map<string, number>()
  const actedAfter: number[] = []
  api.requests.length = 0
  api.intercept = ({ method, path }) => {
    const at = changedAt.get(path)
    if (method === 'PATCH' && at !== undefined) {
      actedAfter.push(performance.now() - at)
      changedAt.delete(path)
    }
    return false
  }
  await until(operator, 'the second operator leads', () =>
    api.requests.some((r) => r.method === 'PUT' && isLeaseCall(r)),
  )
  for (let change = 0; change < CHANGES; change++) {
    const index = Math.floor(((change + 0.5) * jobs) / CHANGES)
    changedAt.set(setOf(index), performance.now())
    submit(api, index, 2)
    await pause(CHANGE_EVERY_MS)
  }
  await until(operator, 'all changes are acted on', () => actedAfter.length === CHANGES)
  await quiet()
  const sorted = actedAfter.toSorted((a, b) => a - b)
  const at = (share: number) => Math.round(sorted[Math.ceil(share * sorted.length) - 1] ?? 0)
  console.log(
    `takeover with ${latencyMs} ms a request: ` +
      `change to action p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, most ${at(1)} ms`,
  )
  return at(0.99)
}
