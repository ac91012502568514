import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '#tools/servers/eventually'
import { readEmitted } from './committed-output.ts'
import { compareCounts, type Comparison, type EmittedCounts } from './emitted-counts.ts'
import { independentCount } from './independent-count.ts'
import type { Cluster } from '#tools/cluster/cluster'
import type { Progress } from '#tools/cluster/progress'
import { TryOutStore } from './try-out-store.ts'
import { WordCountInput } from './word-count-input.ts'

export const JOB = 'word-count'
const RELEASE_NAMESPACE = 'weir-system'
const RELEASE = 'weir'

const REDIS = 'app.kubernetes.io/component=quickstart-redis'

const SOURCE = `import { defineJob, files } from 'weir-stream'
export default defineJob(({ env, args }) => {
  env.source('lines', files.lines(args.input, { watch: '500ms' }))
    .flatMap('words', line => line.toLowerCase().match(/[a-z]+/g) ?? [])
    .keyBy(word => word)
    .count('count')
    .sink('out', files.jsonl(args.output))
})
`

interface StreamJobView {
  readonly metadata: { readonly uid: string }
  readonly status?: {
    readonly phase?: string
    readonly attempt?: string
    readonly leader?: string
    readonly restarts?: number
    readonly restoredFrom?: string
    readonly conditions?: readonly {
      readonly type: string
      readonly status: string
      readonly reason: string
      readonly message: string
    }[]
    readonly recoveries?: readonly Readonly<Record<string, unknown>>[]
  }
}

interface PodView {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string }
  readonly status?: {
    readonly phase?: string
    readonly conditions?: readonly { readonly type: string; readonly status: string }[]
  }
}

/** What tells a run of the job from an earlier one. */
interface RunMark {
  readonly epoch?: number
  readonly attempt?: string | undefined
}

const conditionOf = ({ status }: StreamJobView, type: string) =>
  status?.conditions?.find((condition) => condition.type === type)

const epochOf = (view: StreamJobView): number =>
  Number(/ in epoch (\d+)/.exec(conditionOf(view, 'CoordinatorElected')?.message ?? '')?.[1] ?? 0)

function runsOtherThan(view: StreamJobView, { epoch = 0, attempt }: RunMark): boolean {
  const isSameAttempt = attempt !== undefined && attempt === view.status?.attempt
  if (epochOf(view) <= epoch || isSameAttempt) return false
  return view.status?.phase === 'Running' && conditionOf(view, 'Ready')?.status === 'True'
}

function viewText(view: StreamJobView): string {
  const { attempt, phase } = view.status ?? {}
  const ready = conditionOf(view, 'Ready')?.status
  return `epoch ${epochOf(view)}, attempt ${attempt}, phase ${phase}, Ready ${ready}`
}

/**
 * A word count on a cluster that is disturbed while it runs: its own namespace (under restricted
 * pod security), its own input and output on the try-out S3 server, and the comparison of
 * everything that was published with an independent count.
 */
export class WordCountTrial implements AsyncDisposable {
  readonly cluster: Cluster
  readonly namespace: string
  readonly input: WordCountInput
  readonly #store: TryOutStore
  readonly #progress: Progress
  readonly #directory: string
  readonly #emitted = new Map<string, EmittedCounts>()
  #marks = 0
  private constructor(parts: {
    readonly cluster: Cluster
    readonly namespace: string
    readonly store: TryOutStore
    readonly directory: string
    readonly progress: Progress
  }) {
    this.cluster = parts.cluster
    this.namespace = parts.namespace
    this.input = new WordCountInput(parts.store, `${parts.namespace}/in/`, join(parts.directory, 'in'))
    this.#store = parts.store
    this.#progress = parts.progress
    this.#directory = parts.directory
  }

  static async open(cluster: Cluster, progress: Progress): Promise<WordCountTrial> {
    const namespace = `word-count-${Math.floor(Date.now() / 1000).toString(36)}`
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' }
    await cluster.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels } })
    const store = await TryOutStore.open(cluster, RELEASE_NAMESPACE, `${RELEASE}-s3`)
    const directory = await mkdtemp(join(tmpdir(), 'weir-trial-'))
    return new WordCountTrial({ cluster, namespace, store, directory, progress })
  }

  /** Applies the StreamJob; with `savepoint`, restored from that Savepoint object. */
  async start(savepoint?: string): Promise<void> {
    await this.cluster.apply({
      apiVersion: 'weir.dev/v1alpha1',
      kind: 'StreamJob',
      metadata: { name: JOB, namespace: this.namespace },
      spec: {
        job: {
          inline: SOURCE,
          args: { input: `s3://data/${this.namespace}/in/`, output: `s3://data/${this.namespace}/out/` },
        },
        jobManager: { replicas: 2 },
        taskManager: { replicas: 2, slots: 2 },
        checkpoint: { interval: '2s' },
        ...(savepoint === undefined ? {} : { restore: { savepointRef: { name: savepoint } } }),
      },
    })
    await this.#kubectl('wait', '--for=condition=Ready', `stj/${JOB}`, '--timeout=180s')
  }

  /** Deletes the job and waits until its pods are gone. */
  async delete(): Promise<void> {
    await this.#kubectl('delete', `stj/${JOB}`, '--timeout=120s')
    await this.#kubectl('wait', '--for=delete', 'pod', '-l', `weir.dev/job=${JOB}`, '--timeout=120s')
  }

  view(): Promise<StreamJobView> {
    return this.cluster.getJson<StreamJobView>('stj', JOB, '-n', this.namespace)
  }

  /** The epoch of the leading JobManager, as the condition CoordinatorElected says. */
  async epoch(): Promise<number> {
    return epochOf(await this.view())
  }

  /**
   * Waits until the job runs with all its TaskManagers, in a later epoch than `epoch` and another
   * attempt than `attempt`.
   */
  async runsAgain(than: RunMark): Promise<void> {
    await eventually(
      async () => {
        const view = await this.view()
        const taskManagers = await this.#pods(`weir.dev/job=${JOB},weir.dev/component=task-manager`)
        if (runsOtherThan(view, than) && taskManagers.length >= 2) return true
        throw new Error(`${viewText(view)}, ${taskManagers.length} TaskManagers`)
      },
      { what: `the job runs again, other than ${JSON.stringify(than)}`, limitMs: 120_000, everyMs: 200 },
    )
  }

  /** Waits until another pod than `gone` serves Redis. */
  async redisBack(gone: string): Promise<void> {
    await eventually(
      async () => {
        const pods = await this.cluster.getJson<{ items: PodView[] }>(
          'pods',
          '-n',
          RELEASE_NAMESPACE,
          '-l',
          REDIS,
        )
        return pods.items.some(
          (pod) =>
            pod.metadata.name !== gone &&
            pod.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True'),
        )
      },
      { what: `another Redis pod than ${gone} is Ready`, limitMs: 120_000, everyMs: 200 },
    )
  }

  async deleteTaskManager(): Promise<string> {
    const [pod] = await this.#pods(`weir.dev/job=${JOB},weir.dev/component=task-manager`)
    if (pod === undefined) throw new Error('There is no TaskManager pod.')
    await this.#kubectl('delete', `pod/${pod}`, '--wait=false')
    return pod
  }

  /**
   * Without notice where the node can be reached: SIGKILL, so no handing over, and Kubernetes
   * starts the container again. Else the pod is deleted by force.
   */
  async killLeader(): Promise<string> {
    const pod = await eventually(
      async () => (await this.#pods(`weir.dev/job=${JOB},weir.dev/leader=true`))[0],
      {
        what: 'a JobManager pod with the label weir.dev/leader=true',
        limitMs: 60_000,
        everyMs: 500,
      },
    )
    const { provider } = this.cluster
    if (provider.killContainer === undefined) {
      await this.#kubectl('delete', `pod/${pod}`, '--grace-period=0', '--force', '--wait=false')
      return pod
    }
    const id = await this.#kubectl(
      'get',
      `pod/${pod}`,
      '-o',
      'jsonpath={.status.containerStatuses[0].containerID}',
    )
    await provider.killContainer(id.replace(/^.*:\/\//, ''))
    return pod
  }

  async deleteRedis(): Promise<string> {
    const names = await this.cluster.kubectl([
      'get',
      'pods',
      '-n',
      RELEASE_NAMESPACE,
      '-l',
      REDIS,
      '-o',
      'name',
    ])
    const pod = names.trim().split('\n')[0] ?? ''
    await this.cluster.kubectl(['delete', pod, '-n', RELEASE_NAMESPACE, '--wait=false'])
    return pod.replace('pod/', '')
  }

  /** Makes a Savepoint object, waits until it is usable, and gives its path. */
  async savepoint(name: string): Promise<string> {
    const spec = { streamJobRef: { name: JOB } }
    await this.cluster.apply({
      apiVersion: 'weir.dev/v1alpha1',
      kind: 'Savepoint',
      metadata: { name, namespace: this.namespace },
      spec,
    })
    await this.#kubectl('wait', '--for=condition=Ready', `svp/${name}`, '--timeout=120s')
    return this.#kubectl('get', `svp/${name}`, '-o', 'jsonpath={.status.path}')
  }

  /**
   * Milliseconds until a word that goes in now has come out, published: everything on the way
   * works.
   */
  async roundTrip(what: string, limitMs = 120_000): Promise<number> {
    const word = `mark${String.fromCharCode(97 + Math.floor(this.#marks / 26), 97 + (this.#marks % 26))}`
    this.#marks++
    const start = performance.now()
    await this.input.add(`${word}\n`)
    await eventually(async () => (await this.#published()).has(word), {
      what: `a word written ${what} is in the published output`,
      limitMs,
      everyMs: 250,
    })
    return performance.now() - start
  }

  /** With the input at rest: waits until as much is published as went in, then compares. */
  async compare(limitMs = 180_000): Promise<Comparison> {
    await this.input.pause()
    const expected = await independentCount(this.input.directory)
    const total = [...expected.values()].reduce((sum, n) => sum + n, 0)
    let published: ReadonlyMap<string, EmittedCounts> = new Map()
    await eventually(
      async () => {
        published = await this.#published()
        const seen = [...published.values()].reduce((sum, counts) => sum + counts.last, 0)
        if (seen < total) throw new Error(`${seen} of ${total} words are in the published output`)
        return true
      },
      { what: 'all words that went in are in the published output', limitMs, everyMs: 500 },
    )
    return compareCounts(published, expected)
  }

  /** Published files never change, so each is read once. */
  async #published(): Promise<ReadonlyMap<string, EmittedCounts>> {
    const fresh = await this.#store.download(`${this.namespace}/out/`, join(this.#directory, 'out'))
    return readEmitted(
      fresh.filter((path) => path.endsWith('.jsonl')),
      this.#emitted,
    )
  }

  /** Names of pods that run and are not being deleted. */
  async #pods(selector: string): Promise<string[]> {
    const pods = await this.cluster.getJson<{ items: PodView[] }>(
      'pods',
      '-n',
      this.namespace,
      '-l',
      selector,
    )
    return pods.items
      .filter((pod) => pod.status?.phase === 'Running' && pod.metadata.deletionTimestamp === undefined)
      .map((pod) => pod.metadata.name)
  }

  #kubectl(...args: string[]): Promise<string> {
    return this.cluster.kubectl([...args, '-n', this.namespace])
  }

  say(line: string): void {
    this.#progress.say(line)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.input.pause().catch(() => {})
    await this.#store[Symbol.asyncDispose]()
    await this.cluster.tryKubectl(['delete', 'namespace', this.namespace, '--wait=false'])
    await rm(this.#directory, { recursive: true, force: true })
  }
}
