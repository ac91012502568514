import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Cluster } from '#tools/cluster/cluster'
import { dumpCluster } from '#tools/cluster/diagnostics'
import { stderrProgress } from '#tools/cluster/progress'
import { eventually } from '#tools/servers/eventually'
import { TryOutStore } from '#tools/word-count/try-out-store'
import { CHART, installWeir, NAMESPACE, RELEASE } from '../../scripts/cluster/install.ts'
import { condition, StreamJobs } from './stream-jobs.ts'

const OPERATOR = `${RELEASE}-operator`
const SMALL = { resources: { requests: { cpu: '20m', memory: '192Mi' }, limits: { memory: '512Mi' } } }
const NUMBERS = `import { defineJob, files, generator } from 'weir-stream'
export default defineJob(({ env, args }) => {
  env.source('numbers', generator({ rate: 100, splits: 4, count: args.count, make: n => ({ key: n % 10 }) }))
    .keyBy(({ key }) => key).count('count').sink('out', files.jsonl(args.output))
})
`
const LINES = `import { defineJob, files } from 'weir-stream'
export default defineJob(({ env, args }) => {
  env.source('lines', files.lines(args.input, { watch: '500ms' })).sink('out', files.jsonl(args.output))
})
`

/**
 * What the people who run jobs do to them, and what Kubernetes does: one story in steps, on a few
 * small jobs that begin together. A failure anywhere shows the state of the cluster.
 */
describe('operating jobs', () => {
  let cluster: Cluster
  let jobs: StreamJobs

  beforeAll(async () => {
    cluster = await Cluster.up()
    await installWeir(cluster, stderrProgress)
    jobs = await StreamJobs.open(cluster, 'operating')
  })
  beforeEach(({ onTestFailed }) => {
    onTestFailed(async () => console.error(await dumpCluster(cluster, [jobs.namespace, NAMESPACE])))
  })
  afterAll(async () => {
    await jobs?.[Symbol.asyncDispose]()
  })

  const specOf = (inline: string, over: object = {}) => ({
    job: { inline, args: { input: inputOf(), output: `s3://data/${jobs.namespace}/out/` } },
    jobManager: SMALL,
    taskManager: SMALL,
    checkpoint: { interval: '2s' },
    ...over,
  })
  const inputOf = () => `s3://data/${jobs.namespace}/in/`
  const orders = () =>
    specOf(NUMBERS, {
      jobManager: { ...SMALL, replicas: 2 },
      taskManager: { ...SMALL, replicas: 2, slots: 2 },
      maxParallelism: 4,
    })
  const uids = async () =>
    [...(await jobs.pods('orders', 'job-manager')), ...(await jobs.pods('orders', 'task-manager'))]
      .map(({ metadata }) => metadata.uid)
      .toSorted()
  /** The operator's pods, all replaced. */
  async function restartOperator(): Promise<void> {
    await cluster.kubectl(['rollout', 'restart', `deploy/${OPERATOR}`, '-n', NAMESPACE])
    await cluster.kubectl(['rollout', 'status', `deploy/${OPERATOR}`, '-n', NAMESPACE, '--timeout=120s'])
  }

  test('a new object is neither ready nor failed before an operator has looked at it', async () => {
    const operator = ['-n', NAMESPACE, '-l', 'app.kubernetes.io/component=operator']
    await cluster.kubectl(['scale', `deploy/${OPERATOR}`, '--replicas=0', '-n', NAMESPACE])
    await cluster.kubectl(['wait', '--for=delete', 'pod', ...operator, '--timeout=90s'])

    await jobs.apply('orders', orders())
    await jobs.apply('waiting', specOf(LINES))
    await jobs.apply('ending', specOf(NUMBERS, { job: { inline: NUMBERS, args: argsOf({ count: 500 }) } }))
    await jobs.apply('unmounted', specOf(NUMBERS, withVolume({ secret: { secretName: 'no-such-secret' } })))
    await jobs.apply('paused', specOf(NUMBERS, { jobManager: { ...SMALL, podTemplate: patient() } }))
    const { conditions, phase } = await jobs.status('orders')
    expect([conditions?.map((c) => [c.type, c.status, c.reason]), phase]).toEqual([
      [['Ready', 'Unknown', 'Pending']],
      undefined,
    ])

    await cluster.kubectl(['scale', `deploy/${OPERATOR}`, '--replicas=2', '-n', NAMESPACE])
    await jobs.untilRunning('orders', 1)
  })

  const argsOf = (over: object) => ({ output: `s3://data/${jobs.namespace}/ending/`, ...over })
  const withVolume = (source: object) => ({
    podTemplate: {
      spec: {
        volumes: [{ name: 'extra', ...source }],
        containers: ['job-manager', 'task-manager'].map((name) => ({
          name,
          volumeMounts: [{ name: 'extra', mountPath: '/extra' }],
        })),
      },
    },
  })
  /** Kubernetes neither restarts it nor takes it for not ready while its process is paused. */
  const patient = () => {
    const probe = { failureThreshold: 100 }
    const container = { name: 'job-manager', readinessProbe: probe, livenessProbe: probe }
    return { spec: { shareProcessNamespace: true, containers: [container] } }
  }

  test('the operator may create Secrets of jobs and read none, and changes no pod', async () => {
    const as = `--as=system:serviceaccount:${NAMESPACE}:${OPERATOR}`
    const may = async (verb: string, what: string, namespace = jobs.namespace, ...more: string[]) =>
      (await cluster.tryKubectl(['auth', 'can-i', verb, what, as, '-n', namespace, ...more])).stdout.trim()
    for (const verb of ['get', 'list', 'watch', 'patch', 'delete'])
      expect(await may(verb, 'secrets')).toBe('no')
    for (const verb of ['create', 'update']) expect(await may(verb, 'secrets')).toBe('yes')
    expect(await may('list', 'secrets', NAMESPACE)).toBe('no')
    expect(await may('get', `secrets/${OPERATOR}-token-key`, NAMESPACE)).toBe('yes')
    expect(await may('get', 'secrets/other', NAMESPACE)).toBe('no')
    expect(await may('patch', 'pods')).toBe('no')
    expect(await may('patch', 'pods', jobs.namespace, '--subresource=status')).toBe('yes')
  })

  test('what a job waits for is shown while it does', async () => {
    const status = await jobs.until('waiting', 'waits for a file', (s) => s.waits?.[0]?.kind === 'Source')
    expect(condition(status, 'Waiting')).toMatchObject({ status: 'True', reason: 'WaitingForSource' })
    const [wait] = status.waits ?? []
    const shownAfterMs =
      Date.parse(condition(status, 'Waiting')?.lastTransitionTime ?? '') - Date.parse(wait?.since ?? '')
    expect(shownAfterMs).toBeLessThan(5000)
    const [header = '', row = ''] = (await jobs.kubectl('get', 'stj/waiting')).split('\n')
    expect(row.slice(header.indexOf('WAITING'))).toMatch(/^Source /)
    expect(await jobs.kubectl('describe', 'stj/waiting')).toContain(wait?.message)
    await jobs.untilEvent('waiting', 'WaitingForSource')

    await using store = await TryOutStore.open(cluster, NAMESPACE, `${RELEASE}-s3`)
    await store.put(`${jobs.namespace}/in/a.txt`, 'a\n')
    const over = await jobs.until('waiting', 'waits no more', (s) => s.waits === undefined)
    expect(condition(over, 'Waiting')?.status).toBe('False')
    await jobs.kubectl('delete', 'stj/waiting', '--wait=false')
  })

  test('a typing error in podTemplate is answered with its text, and mended by mending it', async () => {
    await jobs.apply('typo', specOf(NUMBERS, { podTemplate: { spec: { nodeSelecter: { disk: 'ssd' } } } }))
    const refused = await jobs.until(
      'typo',
      'is refused',
      (s) => condition(s, 'Ready')?.reason === 'PodTemplateInvalid',
    )
    expect(condition(refused, 'Ready')?.message).toContain('nodeSelecter')
    expect(condition(refused, 'Stalled')?.status).toBe('True')
    await jobs.apply('typo', specOf(NUMBERS))
    await jobs.until('typo', 'runs', (s) => condition(s, 'Ready')?.status === 'True')
    await jobs.kubectl('delete', 'stj/typo', '--wait=false')
  })

  test('a job that has ended stays so when it is scaled', async () => {
    await jobs.until('ending', 'has finished', (s) => s.phase === 'Finished')
    await jobs.kubectl('scale', 'stj/ending', '--replicas=3')
    await jobs.untilEvent('ending', 'ScaleIgnored')
    const { phase, runId } = await jobs.status('ending')
    expect([phase, runId]).toEqual(['Finished', '1'])
    expect(await jobs.pods('ending', 'task-manager')).toEqual([])
    await jobs.kubectl('delete', 'stj/ending', '--wait=false')
  })

  test('a Secret that a pod mounts and that is missing is named', async () => {
    const stuck = await jobs.until(
      'unmounted',
      'cannot be mounted',
      (s) => condition(s, 'Ready')?.reason === 'MountFailed',
    )
    expect(condition(stuck, 'Ready')?.message).toContain('no-such-secret')
    await jobs.kubectl('delete', 'stj/unmounted', '--wait=false')
  })

  test('an asked-for restart begins one run, which goes on from the last checkpoint', async () => {
    const secrets = () => jobs.kubectl('get', 'secrets', '-o', 'name')
    const token = (await secrets()).split('\n').find((name) => name.includes('orders-weir-token'))
    await jobs.kubectl('delete', token ?? '')
    await jobs.annotate('orders', 'weir.dev/restartedAt=one')
    const { restoredFrom } = await jobs.untilRunning('orders', 2)
    expect(restoredFrom).toMatch(/^s3:\/\//)
    // The same again: the token of a job does not depend on the Secret that holds it.
    expect((await secrets()).split('\n')).toContain(token)
    await jobs.annotate('orders', 'weir.dev/restartedAt=one')
  })

  test('a job that is to be left alone is, and says what is not done', async () => {
    const before = await uids()
    await jobs.annotate('orders', 'weir.dev/reconcile=Disabled')
    await jobs.patch('orders', { spec: { checkpoint: { interval: '3s' } } })
    const held = await jobs.until(
      'orders',
      'is held',
      (s) => condition(s, 'Ready')?.reason === 'ReconciliationPaused',
    )
    expect(condition(held, 'ReconciliationPaused')?.status).toBe('True')
    expect([held.runId, await uids()]).toEqual(['2', before])
    await jobs.annotate('orders', 'weir.dev/reconcile-')
    await jobs.untilRunning('orders', 3)
  })

  test('more TaskManagers than maxParallelism has work for are not made', async () => {
    const before = await uids()
    await jobs.kubectl('scale', 'stj/orders', '--replicas=9')
    const limited = await jobs.until(
      'orders',
      'is limited',
      (s) => condition(s, 'ScaleLimited')?.status === 'True',
    )
    expect([limited.runId, limited.replicas, await uids()]).toEqual(['3', 2, before])
    await jobs.kubectl('scale', 'stj/orders', '--replicas=2')
    await jobs.until('orders', 'is limited no more', (s) => condition(s, 'ScaleLimited')?.status === 'False')
  })

  test('a drain of its nodes replaces all pods of a job, one of a kind at a time', async () => {
    const before = await uids()
    const { items } = await cluster.getJson<{ items: { metadata: { name: string } }[] }>('nodes')
    const nodes = items.map(({ metadata }) => metadata.name)
    const selector = '--pod-selector=weir.dev/job=orders'
    const drained = cluster.kubectl(
      ['drain', ...nodes, selector, '--delete-emptydir-data', '--timeout=180s'],
      { timeoutMs: 200_000 },
    )
    // All nodes are drained at once, and what is evicted needs one.
    const uncordoned = uncordonUntil(nodes, drained)
    await drained
    await uncordoned
    expect((await uids()).filter((uid) => before.includes(uid))).toEqual([])
    const status = await jobs.untilRunning('orders', 3)
    expect(status.restarts).toBeLessThan(5)
  })

  /** A drain cordons first; what it has evicted comes back once that is undone. */
  async function uncordonUntil(nodes: readonly string[], drained: Promise<unknown>): Promise<void> {
    let isOver = false
    const over = () => (isOver = true)
    drained.then(over, over)
    const uncordon = () => cluster.kubectl(['uncordon', ...nodes])
    await eventually(async () => (await uncordon()) !== '' && isOver, {
      what: 'the drain ends',
      limitMs: 210_000,
      everyMs: 500,
    })
  }

  test('an import that a job is restored from is verified by that', async () => {
    await jobs.applySavepoint('taken', { streamJobRef: { name: 'orders' } })
    const { path } = await jobs.untilSavepoint('taken', 'Completed')
    await jobs.applySavepoint('imported', { existingPath: path })
    const imported = await jobs.untilSavepoint('imported', 'NotVerified')
    expect(condition(imported, 'Ready')?.status).toBe('Unknown')
    await jobs.patch('orders', { spec: { restore: { savepointRef: { name: 'imported' } } } })
    expect((await jobs.untilRunning('orders', 4)).restoredFrom).toContain(path)
    await jobs.untilSavepoint('imported', 'Imported')
  })

  test('a JobManager that lives and does not answer is unreachable, not leaderless', async () => {
    await jobs.untilRunning('paused', 1)
    await signalJobManager('SIGSTOP')
    try {
      const lost = await jobs.until(
        'paused',
        'is out of reach',
        (s) => condition(s, 'Ready')?.reason === 'JobManagerUnreachable',
      )
      expect(condition(lost, 'Ready')?.status).toBe('Unknown')
      expect(condition(lost, 'CoordinatorElected')?.status).toBe('Unknown')
      expect(lost.phase).toBe('Running')
    } finally {
      await signalJobManager('SIGCONT')
    }
    await jobs.untilRunning('paused', 1)
    await jobs.kubectl('delete', 'stj/paused', '--wait=false')
  })

  /** Its process sees those of its pod, and is not the first of them, which no signal stops. */
  async function signalJobManager(signal: string): Promise<void> {
    const [pod] = await jobs.pods('paused', 'job-manager')
    const script = `for (const pid of require('fs').readdirSync('/proc').filter((p) => /^[0-9]+$/.test(p)))
      if (Number(pid) !== process.pid && isJobManager(pid)) process.kill(Number(pid), '${signal}')
    function isJobManager(pid) {
      return require('fs').readFileSync('/proc/' + pid + '/cmdline', 'utf8').includes('bin/job-manager.js')
    }`
    const container = ['-n', jobs.namespace, pod?.metadata.name ?? '', '-c', 'job-manager']
    await cluster.kubectl(['exec', ...container, '--', 'node', '-e', script])
  }

  test('another default storage moves no job, and a lost token key replaces its pods', async () => {
    const before = await uids()
    const storage = {
      bucket: 'data',
      endpoint: `http://${RELEASE}-s3.${NAMESPACE}.svc:7070`,
      forcePathStyle: true,
      credentialsSecret: `${RELEASE}-s3`,
    }
    const values = ['--set-json', `defaults.storage=${JSON.stringify({ s3: storage })}`]
    await cluster.helm(['upgrade', RELEASE, CHART, '-n', NAMESPACE, '--reuse-values', '--wait', ...values])
    const outdated = await jobs.until(
      'orders',
      'has an outdated default',
      (s) => condition(s, 'DefaultsOutdated')?.status === 'True',
    )
    expect(condition(outdated, 'DefaultsOutdated')?.reason).toBe('DefaultStorageChanged')
    expect([outdated.runId, await uids()]).toEqual(['4', before])

    await cluster.helm(['rollback', RELEASE, '-n', NAMESPACE, '--wait'])
    await cluster.kubectl(['delete', `secret/${OPERATOR}-token-key`, '-n', NAMESPACE])
    await restartOperator()
    await jobs.untilEvent('orders', 'TokenLost')
    const { restoredFrom } = await jobs.untilRunning('orders', 5)
    expect(restoredFrom).toMatch(/^s3:\/\/weir\//)
  })
})
