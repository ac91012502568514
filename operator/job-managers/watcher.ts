/**
 * What JobManagers say about running jobs. For each JobManager pod one stream of facts is held
 * open; nobody polls. Facts are a level: the newest document of a pod replaces the one before, and
 * a pod that does not answer has none.
 *
 * I1 `follow` makes the streams equal to the pods it is given; every reconcile calls it, so no
 *    event can be missed for good.
 * I2 A stream that ends, breaks or is silent for `silenceMs` (a JobManager writes its facts every
 *    second) is opened again with backoff.
 * I3 `onChange` says how soon a change matters; counters are no change. Of the first facts of a pod
 *    the listener knows whether they are any news.
 */
import { type BackoffOptions, backoffDelay } from '#runtime/base/backoff'
import { type Clock, sleep } from '#runtime/base/clock'
import { messageOf } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import { JobManagerClient, type JobManagerAddress } from '#runtime/contract/job-manager-client'
import type { JobFacts } from '#runtime/contract/rest'
import type { Key } from '#operator/kube/store'
import { ports } from '#operator/resources/names'
import {
  type FactsView,
  leaderOf,
  NOTHING_KNOWN,
  obstacleOf,
  type Source,
  type Unreachable,
  urgencyOf,
  verdictOf,
} from './facts-view.ts'

export interface PodAddress {
  readonly pod: string
  readonly ip: string
}

export interface WatcherOptions {
  readonly clock: Clock
  readonly random: () => number
  readonly logger: Logger
  /**
   * `first`: the pod was never heard before. `later`: a further checkpoint has completed, and
   * nothing else. Without facts: they are lost.
   */
  readonly onChange: (key: Key, urgency: 'first' | 'now' | 'later', facts: JobFacts | undefined) => void
  /** Port of the JobManagers' REST. */
  readonly port?: number
  readonly silenceMs?: number
  readonly backoff?: BackoffOptions
}

interface Stream extends Source {
  readonly stop: AbortController
  facts: JobFacts | undefined
  /** When `facts` came, wall clock; 0: none ever have. */
  heardAt: number
  /** Of the attempts since it was heard last; `since` on the monotonic clock. */
  failure: { readonly since: number; readonly message: string } | undefined
}

interface Watched {
  /** By name of the pod. */
  readonly streams: Map<string, Stream>
  hasAnswered: boolean
  /** On the monotonic clock; undefined while there is a leader. */
  leaderlessSince: number | undefined
}

const BACKOFF: BackoffOptions = { initialMs: 200, maxMs: 5000, multiplier: 2, jitter: 0.3 }

export class JobManagerWatcher {
  readonly #options: WatcherOptions
  readonly #jobs = new Map<Key, Watched>()

  constructor(options: WatcherOptions) {
    this.#options = options
  }

  /** `pods`: the JobManagers of the job's current run that have an address. */
  follow(key: Key, token: string, pods: readonly PodAddress[]): void {
    if (pods.length === 0 && !this.#jobs.has(key)) return
    const job = this.#watched(key)
    const wanted = new Map(pods.map(({ pod, ip }) => [pod, this.#addressOf(ip, token)]))
    for (const [pod, stream] of job.streams) {
      if (isSame(wanted.get(pod), stream.address)) continue
      stream.stop.abort()
      job.streams.delete(pod)
    }
    for (const [pod, address] of wanted) {
      if (job.streams.has(pod)) continue
      const stop = new AbortController()
      const stream: Stream = { pod, address, stop, facts: undefined, heardAt: 0, failure: undefined }
      job.streams.set(pod, stream)
      void this.#keepOpen(key, job, stream)
    }
    this.#noteLeader(job)
  }

  view(key: Key): FactsView {
    const job = this.#jobs.get(key)
    if (job === undefined) return NOTHING_KNOWN
    const { hasAnswered, leaderlessSince } = job
    const leader = leaderOf(job.streams.values())
    return {
      facts: leader?.facts ?? verdictOf(job.streams.values()),
      leader: leader && { pod: leader.pod, address: leader.address },
      obstacle: leader === undefined ? obstacleOf(job.streams.values()) : undefined,
      unreachable: leader === undefined ? this.#unreachable(job) : [],
      hasAnswered,
      leaderlessMs: leaderlessSince === undefined ? 0 : this.#options.clock.monotonic() - leaderlessSince,
    }
  }

  #unreachable(job: Watched): readonly Unreachable[] {
    const now = this.#options.clock.monotonic()
    return [...job.streams.values()].flatMap(({ pod, failure }) =>
      failure === undefined ? [] : [{ pod, message: failure.message, forMs: now - failure.since }],
    )
  }

  /** The job is gone. */
  forget(key: Key): void {
    for (const stream of this.#jobs.get(key)?.streams.values() ?? []) stream.stop.abort()
    this.#jobs.delete(key)
  }

  close(): void {
    for (const key of [...this.#jobs.keys()]) this.forget(key)
  }

  #watched(key: Key): Watched {
    const known = this.#jobs.get(key)
    if (known !== undefined) return known
    const leaderlessSince = this.#options.clock.monotonic()
    const job: Watched = { streams: new Map(), hasAnswered: false, leaderlessSince }
    this.#jobs.set(key, job)
    return job
  }

  #addressOf(ip: string, token: string): JobManagerAddress {
    const host = ip.includes(':') ? `[${ip}]` : ip
    return { url: `http://${host}:${this.#options.port ?? ports.rest}`, token }
  }

  async #keepOpen(key: Key, job: Watched, stream: Stream): Promise<void> {
    const { clock, random, onChange, backoff = BACKOFF } = this.#options
    const { signal } = stream.stop
    for (let failures = 1; ; failures++) {
      if (await this.#read(key, job, stream)) failures = 1
      if (signal.aborted) return
      if (stream.facts !== undefined) {
        stream.facts = undefined
        this.#noteLeader(job)
        onChange(key, 'now', undefined)
      }
      await sleep(clock, backoffDelay(backoff, failures, random()), signal).catch(() => undefined)
      if (signal.aborted) return
    }
  }

  /** Reads one stream to its end; true when it brought any facts. */
  async #read(key: Key, job: Watched, stream: Stream): Promise<boolean> {
    const { clock, silenceMs, logger } = this.#options
    const { pod, address, stop } = stream
    const client = new JobManagerClient(address, {
      clock,
      ...(silenceMs === undefined ? {} : { silenceMs }),
    })
    let hasFacts = false
    try {
      for await (const facts of client.events(stop.signal)) {
        hasFacts = true
        this.#note(key, job, stream, facts)
      }
      if (!hasFacts) this.#fail(stream, 'it ended the stream of facts without any')
    } catch (error) {
      const message = messageOf(error)
      this.#fail(stream, message)
      logger.debug({ key, pod, message }, 'job manager not reachable')
    }
    return hasFacts
  }

  #fail(stream: Stream, message: string): void {
    const since = stream.failure?.since ?? this.#options.clock.monotonic()
    stream.failure = { since, message }
  }

  #note(key: Key, job: Watched, stream: Stream, facts: JobFacts): void {
    const before = stream.facts && { facts: stream.facts, at: stream.heardAt }
    const at = this.#options.clock.now()
    const urgency = stream.heardAt === 0 ? 'first' : urgencyOf(before, { facts, at })
    stream.facts = facts
    stream.heardAt = at
    stream.failure = undefined
    job.hasAnswered = true
    this.#noteLeader(job)
    if (urgency !== 'never') this.#options.onChange(key, urgency, facts)
  }

  #noteLeader(job: Watched): void {
    if (leaderOf(job.streams.values()) !== undefined) job.leaderlessSince = undefined
    else job.leaderlessSince ??= this.#options.clock.monotonic()
  }
}

const isSame = (a: JobManagerAddress | undefined, b: JobManagerAddress): boolean =>
  a !== undefined && a.url === b.url && a.token === b.token
