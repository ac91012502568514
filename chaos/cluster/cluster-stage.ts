/**
 * The job on a Kubernetes cluster with all that it stands on: the operator and the servers of the
 * chart's quickstart, input that keeps coming, output that is read. Faults act on it.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { sleep, systemClock } from '#runtime/base/clock'
import type { Cluster } from '#tools/cluster/cluster'
import { eventually } from '#tools/servers/eventually'
import { NAMESPACE } from '../../scripts/cluster/install.ts'
import { InputWriter } from '../input.ts'
import { defectsIn } from '../logs.ts'
import { RECORDS_PER_FILE, recordsOf } from '../records.ts'
import type { Setting } from '../setting.ts'
import type { Story } from '../story.ts'
import { type Lineage, requireComplete, requireRight } from '../verdict.ts'
import { ClusterWatcher, type JobView } from './cluster-watcher.ts'
import { JOB, type JobSpec, placesOf, streamJobOf } from './job-manifest.ts'
import { containersOf, loopsOf, type PodView } from './pods.ts'
import { freshSavepoint, type SavepointView } from './savepoints.ts'
import { PublishedOutput, ReachedStore } from './published-output.ts'

const BUCKET = 'data'
export const CLUSTER_LIMIT_MS = 120_000
const LIMIT = `--timeout=${CLUSTER_LIMIT_MS / 1000}s`
/** The object may say that it is complete after the job is suspended. */
const SAVEPOINT_LATENESS_MS = 10_000
/** After it the container waits 40 s and longer before Kubernetes starts it again. */
const MOST_KILLS = 4

export interface ClusterStageOptions {
  readonly cluster: Cluster
  readonly directory: string
  readonly seed: number
  readonly setting: Setting
  readonly story: Story
}

export class ClusterStage implements AsyncDisposable {
  readonly cluster: Cluster
  readonly namespace: string
  readonly story: Story
  readonly watcher: ClusterWatcher
  readonly #seed: number
  readonly #directory: string
  readonly #store: ReachedStore
  readonly #input: InputWriter
  readonly #lineage: Lineage<PublishedOutput>
  /** Restarts of containers that are explained: of before, and by a kill; by name of the pod. */
  readonly #kills = new Map<string, number>()
  readonly #restored = new Set<string>()
  #savepoints = 0
  #spec: JobSpec
  #turn: Promise<unknown> = Promise.resolve()

  private constructor({ cluster, directory, seed, setting, story }: ClusterStageOptions, namespace: string) {
    this.cluster = cluster
    this.namespace = namespace
    this.story = story
    this.#seed = seed
    this.#directory = directory
    const { taskManagers, slots } = setting
    this.#spec = { module: 'first', taskManagers, slots, upgradeMode: 'LastCheckpoint', state: 'Running' }
    const { input } = placesOf(namespace)
    this.#store = new ReachedStore(cluster)
    const put = (name: string, text: string) => this.#store.use((store) => store.put(input + name, text))
    this.#input = new InputWriter(seed, put, systemClock)
    this.#lineage = this.#outputIn('output', this.#store)
    const { kubeconfig } = cluster
    this.watcher = new ClusterWatcher({ kubeconfig, namespace, directory: this.#logs, story })
  }

  /** A namespace of its own, and the job in it. */
  static async open(options: ClusterStageOptions): Promise<ClusterStage> {
    const namespace = `chaos-${options.seed}-${Math.floor(Date.now() / 1000).toString(36)}`
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' }
    await options.cluster.apply({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: namespace, labels },
    })
    mkdirSync(join(options.directory, 'logs'), { recursive: true })
    const stage = new ClusterStage(options, namespace)
    try {
      await stage.#begin()
      return stage
    } catch (error) {
      await stage[Symbol.asyncDispose]()
      throw error
    }
  }

  async #begin(): Promise<void> {
    for (const pod of await this.watcher.systemPods())
      this.#kills.set(pod.metadata.name, Math.max(0, ...containersOf(pod).map((it) => it.restartCount)))
    await this.apply({})
  }

  get spec(): JobSpec {
    return this.#spec
  }

  /** What a user does waits for what a user did before. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work)
    this.#turn = done.catch(() => undefined)
    return done
  }

  /** Applies the manifest with what changes. */
  async apply(change: Partial<JobSpec>): Promise<void> {
    this.#spec = { ...this.#spec, ...change }
    await this.cluster.apply(streamJobOf(this.namespace, BUCKET, this.#spec))
  }

  /** Deletes the StreamJob and waits until its pods are gone. */
  async deleteJob(): Promise<void> {
    await this.kubectl('delete', `stj/${JOB}`, '--ignore-not-found', LIMIT)
    await this.kubectl('wait', '--for=delete', 'pod', '-l', `weir.dev/job=${JOB}`, LIMIT)
  }

  kubectl(...args: string[]): Promise<string> {
    return this.cluster.kubectl([...args, '-n', this.namespace])
  }

  /** `isForced`: without waiting for its processes to end. */
  async deletePod(namespace: string, { metadata }: PodView, isForced: boolean): Promise<void> {
    const force = isForced ? ['--grace-period=0', '--force'] : []
    const pod = ['delete', 'pod', metadata.name, '-n', namespace, '--ignore-not-found', '--wait=false']
    await this.cluster.kubectl([...pod, ...force])
  }

  /** SIGKILL in the container; false where that cannot be done, or was done too often. */
  async killContainer(pod: PodView): Promise<boolean> {
    const [container] = containersOf(pod)
    const { provider } = this.cluster
    if (container?.state?.running === undefined || provider.killContainer === undefined) return false
    if (container.restartCount >= MOST_KILLS) return false
    const { name } = pod.metadata
    this.#kills.set(name, (this.#kills.get(name) ?? 0) + 1)
    await provider.killContainer((container.containerID ?? '').replace(/^.*:\/\//, ''))
    return true
  }

  /** Makes a Savepoint object. @throws when it is not usable within the limit */
  async savepoint(): Promise<string> {
    const name = `sp-${++this.#savepoints}`
    await this.cluster.apply({
      apiVersion: 'weir.dev/v1alpha1',
      kind: 'Savepoint',
      metadata: { name, namespace: this.namespace },
      spec: { streamJobRef: { name: JOB }, backoffLimit: 10 },
    })
    await this.kubectl('wait', '--for=condition=Ready', `svp/${name}`, LIMIT)
    return name
  }

  /**
   * Suspends the job with a savepoint, and gives its name; undefined when there is none, since no
   * JobManager led the run that was to be stopped.
   * @throws when it is not suspended within the limit
   */
  async suspend(): Promise<string | undefined> {
    await this.apply({ state: 'Suspended', upgradeMode: 'Savepoint' })
    await eventually(
      async () => {
        const { metadata, status } = await this.cluster.getJson<JobView>('stj', JOB, '-n', this.namespace)
        const { phase, observedGeneration } = status ?? {}
        if (phase === 'Suspended' && observedGeneration === metadata.generation) return true
        throw new Error(`phase ${phase}`)
      },
      { limitMs: CLUSTER_LIMIT_MS, what: 'the job is suspended', everyMs: 500 },
    )
    const deadline = performance.now() + SAVEPOINT_LATENESS_MS
    while (performance.now() < deadline) {
      const { items } = await this.cluster.getJson<{ items: SavepointView[] }>('svp', '-n', this.namespace)
      const name = freshSavepoint(items, this.#restored)
      if (name !== undefined) {
        this.#restored.add(name)
        return name
      }
      await sleep(systemClock, 500)
    }
    return undefined
  }

  /**
   * Resolves when input that was written after the call has come out; gives the milliseconds.
   * @throws when it has not within the limit
   */
  async progress(limitMs: number): Promise<number> {
    const began = performance.now()
    const id = this.#input.files * RECORDS_PER_FILE
    await eventually(
      async () => {
        const { records } = await this.#lineage.output.read()
        if (records.some((record) => record.id >= id)) return true
        throw new Error(this.watcher.failure ?? `${records.length} records, none of them new`)
      },
      { limitMs, what: 'progress (new input has come out)', everyMs: 300 },
    )
    return performance.now() - began
  }

  /** @throws when the job has failed, or what has come out so far is wrong */
  async check(): Promise<void> {
    if (this.watcher.failure !== undefined) throw new Error(this.watcher.failure)
    await requireRight(this.#lineage, () => recordsOf(this.#seed, this.#input.files))
  }

  /**
   * Ends the input, waits until all of it has come out, deletes the job, and reads all output anew.
   * @throws when anything is not as it must be
   */
  async finish(): Promise<number> {
    await this.#input.end()
    const input = recordsOf(this.#seed, this.#input.files)
    await requireComplete(this.#lineage, input, CLUSTER_LIMIT_MS)
    await this.#requireSteady()
    await this.deleteJob()
    // Another store has no copies of what it has read before.
    await using anew = new ReachedStore(this.cluster)
    return await requireComplete(this.#outputIn('output-anew', anew), input)
  }

  /** Lines of logs that tell of a defect. */
  defects(): string[] {
    return defectsIn(this.#logs)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input[Symbol.asyncDispose]()
    await this.watcher[Symbol.asyncDispose]()
    await this.#store[Symbol.asyncDispose]()
    await this.cluster.tryKubectl(['delete', 'namespace', this.namespace, '--wait=false'])
  }

  get #logs(): string {
    return join(this.#directory, 'logs')
  }

  #outputIn(directory: string, store: ReachedStore): Lineage<PublishedOutput> {
    const { output } = placesOf(this.namespace)
    const copies = join(this.#directory, directory)
    const published = new PublishedOutput(store, output, copies)
    return { name: 'job', output: published, beginning: 'empty' }
  }

  /** A container that was killed late may wait once more. */
  async #requireSteady(): Promise<void> {
    await eventually(
      async () => {
        const pods = [...(await this.watcher.jobPods()), ...(await this.watcher.systemPods())]
        const loops = loopsOf(pods, this.#kills)
        if (loops.length === 0) return true
        throw new Error(loops.join('; '))
      },
      {
        limitMs: CLUSTER_LIMIT_MS,
        what: `no pod of the job or of ${NAMESPACE} restarts in a loop`,
        everyMs: 1000,
      },
    )
  }
}
