/**
 * Looks at the job and at all pods again and again: tells what changes, and keeps the log of every
 * container, since a log goes with its pod.
 */
import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { CoreV1Api, CustomObjectsApi, KubeConfig, Log } from '@kubernetes/client-node'
import { sleep, systemClock } from '#runtime/base/clock'
import { NAMESPACE } from '../../scripts/cluster/install.ts'
import type { Story } from '../story.ts'
import { JOB } from './job-manifest.ts'
import { containersOf, type PodView } from './pods.ts'

const EVERY_MS = 1000

export interface JobView {
  readonly metadata: { readonly generation: number }
  readonly status?: {
    readonly observedGeneration?: number
    readonly phase?: string
    readonly attempt?: string
    readonly leader?: string
    readonly runId?: string
    readonly conditions?: readonly { readonly type: string; readonly message: string }[]
  }
}

export interface ClusterWatcherOptions {
  readonly kubeconfig: string
  readonly namespace: string
  /** For the logs. */
  readonly directory: string
  readonly story: Story
}

export class ClusterWatcher implements AsyncDisposable {
  readonly #options: ClusterWatcherOptions
  readonly #core: CoreV1Api
  readonly #custom: CustomObjectsApi
  readonly #log: Log
  readonly #closing = new AbortController()
  /** By the containers' ids. */
  readonly #followed = new Map<string, AbortController | undefined>()
  readonly #loop: Promise<void>
  #told = ''
  #attempt: string | undefined
  /** Attempts after the first that were seen, those of new runs included. */
  recoveries = 0
  /** In words: a job that ended as Failed. */
  failure: string | undefined

  constructor(options: ClusterWatcherOptions) {
    this.#options = options
    const config = new KubeConfig()
    config.loadFromFile(options.kubeconfig)
    this.#core = config.makeApiClient(CoreV1Api)
    this.#custom = config.makeApiClient(CustomObjectsApi)
    this.#log = new Log(config)
    this.#loop = this.#watch()
  }

  /** Of the job, by `labelSelector`. */
  async jobPods(labelSelector?: string): Promise<PodView[]> {
    return await this.#pods(this.#options.namespace, labelSelector)
  }

  /** Operator and servers. */
  async systemPods(labelSelector?: string): Promise<PodView[]> {
    return await this.#pods(NAMESPACE, labelSelector)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    await this.#loop
    for (const following of this.#followed.values()) following?.abort()
  }

  async #pods(namespace: string, labelSelector?: string): Promise<PodView[]> {
    const selected = labelSelector === undefined ? { namespace } : { namespace, labelSelector }
    const { items } = await this.#core.listNamespacedPod(selected)
    return items as unknown as PodView[]
  }

  async #watch(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      // The API server may be busy; what it says next time counts.
      await this.#look().catch(() => undefined)
      await sleep(systemClock, EVERY_MS, signal).catch(() => undefined)
    }
  }

  async #look(): Promise<void> {
    const { namespace } = this.#options
    for (const pod of await this.jobPods()) await this.#follow(namespace, pod)
    for (const pod of await this.systemPods()) await this.#follow(NAMESPACE, pod)
    const group = { group: 'weir.dev', version: 'v1alpha1', plural: 'streamjobs' }
    const job = await this.#custom.getNamespacedCustomObject({ ...group, namespace, name: JOB })
    this.#take(job as JobView)
  }

  #take({ status = {} }: JobView): void {
    const { phase, attempt } = status
    const line = lineOf(status)
    if (line !== this.#told) this.#options.story.tell(`      ${line}`)
    this.#told = line
    this.#count(attempt)
    // The job's own code never throws, so nothing may end the job as Failed.
    if (phase === 'Failed') this.failure ??= line
  }

  #count(attempt: string | undefined): void {
    if (attempt === undefined || attempt === this.#attempt) return
    if (this.#attempt !== undefined) this.recoveries++
    this.#attempt = attempt
  }

  async #follow(namespace: string, pod: PodView): Promise<void> {
    for (const { name: container, containerID = '', restartCount, state } of containersOf(pod)) {
      if (this.#followed.has(containerID) || state?.waiting !== undefined) continue
      this.#followed.set(containerID, undefined)
      const { name } = pod.metadata
      const file = join(this.#options.directory, `${name}-${container}-${restartCount}.log`)
      const stream = createWriteStream(file)
      // A connection that breaks: the log is read again from its beginning.
      stream.once('pipe', (source) => source.once('error', () => this.#followed.delete(containerID)))
      try {
        const following = await this.#log.log(namespace, name, container, stream, { follow: true })
        this.#followed.set(containerID, following)
      } catch {
        // Not there yet, or not any more: asked for again.
        this.#followed.delete(containerID)
        stream.end()
      }
    }
  }
}

const LONGEST = 240

function lineOf(status: NonNullable<JobView['status']>): string {
  const { phase, attempt = '-', leader = '-', runId = '-', conditions } = status
  const ready = conditions?.find(({ type }) => type === 'Ready')?.message ?? ''
  return `run ${runId}, attempt ${attempt}, leader ${leader}: ${phase}, ${ready}`.slice(0, LONGEST)
}
