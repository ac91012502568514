import { type BackoffOptions, backoffDelay } from '#runtime/base/backoff'
import { type Clock, sleep } from '#runtime/base/clock'
import { messageOf } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import type { JobFacts, JobState } from '#runtime/contract/rest'
import { ports } from '#operator/resources/names'
import type { JobAddress, JobClient } from './job-client.ts'

/**
 * What JobManagers say about running jobs. For each JobManager pod one stream of facts is held
 * open; nobody polls. Facts are a level: the newest document of a pod replaces the one before, and
 * a pod that cannot be reached has none.
 *
 * I1 `sync` makes the streams equal to the pods it is given; it is called by every reconcile, so no
 *    event can be missed for good.
 * I2 A stream without a byte for `idleMs` (JobManagers send an empty line every 5 s) is given up
 *    and opened again with backoff.
 * I3 `onChange` says whether the change matters at once; a further completed checkpoint does not,
 *    and counters are no change.
 */
export interface PodAddress {
  readonly pod: string
  readonly ip: string
}

export interface FactsView {
  /**
   * Of the leader; without one, those of a JobManager if all that answer say that the run is over
   * or cannot begin.
   */
  readonly facts: JobFacts | undefined
  readonly leader: { readonly pod: string; readonly address: JobAddress } | undefined
  /** Whether any JobManager of the current pods has ever answered. */
  readonly answered: boolean
  /** How long no leader has been seen, or since the job is watched at all. 0 while there is one. */
  readonly leaderlessMs: number
}

export interface FactsOptions {
  readonly client: JobClient
  readonly clock: Clock
  readonly random: () => number
  readonly logger: Logger
  readonly onChange: (key: string, urgent: boolean) => void
  readonly port?: number
  readonly idleMs?: number
  readonly backoff?: BackoffOptions
}

interface Stream {
  readonly address: JobAddress
  readonly stop: AbortController
  facts: JobFacts | undefined
}

interface Watched {
  readonly streams: Map<string, Stream>
  token: string
  answered: boolean
  leaderlessSince: number | undefined
}

const BACKOFF: BackoffOptions = { initialMs: 200, maxMs: 5000, multiplier: 2, jitter: 0.3 }

export class FactsHub {
  readonly #options: FactsOptions
  readonly #jobs = new Map<string, Watched>()

  constructor(options: FactsOptions) {
    this.#options = options
  }

  sync(key: string, token: string, pods: readonly PodAddress[]): void {
    let job = this.#jobs.get(key)
    if (job === undefined) {
      if (pods.length === 0) return
      job = { streams: new Map(), token, answered: false, leaderlessSince: this.#options.clock.monotonic() }
      this.#jobs.set(key, job)
    }
    const wanted = new Map(pods.map((p) => [p.pod, p.ip]))
    for (const [pod, stream] of job.streams) {
      if (wanted.get(pod) === stream.address.host && token === stream.address.token) continue
      stream.stop.abort()
      job.streams.delete(pod)
    }
    job.token = token
    for (const [pod, host] of wanted) {
      if (job.streams.has(pod)) continue
      const stream: Stream = {
        address: { host, port: this.#options.port ?? ports.rest, token },
        stop: new AbortController(),
        facts: undefined,
      }
      job.streams.set(pod, stream)
      void this.#follow(key, job, pod, stream)
    }
    this.#noteLeader(job)
  }

  view(key: string): FactsView {
    const job = this.#jobs.get(key)
    if (job === undefined) return { facts: undefined, leader: undefined, answered: false, leaderlessMs: 0 }
    const found = leaderOf(job)
    return {
      facts: found?.stream.facts ?? verdict(job),
      leader: found && { pod: found.pod, address: found.stream.address },
      answered: job.answered,
      leaderlessMs:
        job.leaderlessSince === undefined ? 0 : this.#options.clock.monotonic() - job.leaderlessSince,
    }
  }

  /** The job has no pods any more, or is gone. */
  drop(key: string): void {
    for (const stream of this.#jobs.get(key)?.streams.values() ?? []) stream.stop.abort()
    this.#jobs.delete(key)
  }

  close(): void {
    for (const key of [...this.#jobs.keys()]) this.drop(key)
  }

  async #follow(key: string, job: Watched, pod: string, stream: Stream): Promise<void> {
    const { client, clock, random, logger, onChange, backoff = BACKOFF } = this.#options
    const { signal } = stream.stop
    for (let failures = 0; !signal.aborted;) {
      const once = new AbortController()
      const abort = () => once.abort()
      signal.addEventListener('abort', abort, { once: true })
      const watchdog = this.#watchdog(once)
      try {
        for await (const facts of client.events(stream.address, once.signal, watchdog.touch)) {
          failures = 0
          const before = stream.facts
          stream.facts = facts
          job.answered = true
          this.#noteLeader(job)
          if (before === undefined || significance(before) !== significance(facts)) onChange(key, true)
          else if (before.checkpoint.last?.id !== facts.checkpoint.last?.id) onChange(key, false)
        }
        failures++
      } catch (error) {
        failures++
        if (!signal.aborted)
          logger.debug({ key, pod, why: messageOf(error), failures }, 'job manager not reachable')
      } finally {
        watchdog.cancel()
        signal.removeEventListener('abort', abort)
      }
      if (signal.aborted) return
      if (stream.facts !== undefined) {
        stream.facts = undefined
        this.#noteLeader(job)
        onChange(key, true)
      }
      await sleep(clock, backoffDelay(backoff, failures, random()), signal).catch(() => undefined)
    }
  }

  #watchdog(once: AbortController): { touch: () => void; cancel: () => void } {
    const { clock, idleMs = 15_000 } = this.#options
    let last = clock.monotonic()
    const look = () => {
      const left = idleMs - (clock.monotonic() - last)
      if (left <= 0) once.abort(new Error(`nothing heard for ${idleMs} ms`))
      else timer = clock.after(left, look)
    }
    let timer = clock.after(idleMs, look)
    return { touch: () => (last = clock.monotonic()), cancel: () => timer.cancel() }
  }

  #noteLeader(job: Watched): void {
    if (leaderOf(job) !== undefined) job.leaderlessSince = undefined
    else job.leaderlessSince ??= this.#options.clock.monotonic()
  }
}

/** Of several that believe they lead, the one with the highest epoch does. */
function leaderOf(job: Watched): { readonly pod: string; readonly stream: Stream } | undefined {
  let best: { pod: string; stream: Stream } | undefined
  for (const [pod, stream] of job.streams)
    if (stream.facts?.leading === true && stream.facts.epoch > (best?.stream.facts?.epoch ?? -1))
      best = { pod, stream }
  return best
}

/**
 * What JobManagers that do not lead agree on: a run that is over stays over, and a module that
 * cannot be loaded never leads.
 */
function verdict(job: Watched): JobFacts | undefined {
  const facts = [...job.streams.values()].flatMap((s) => s.facts ?? [])
  return facts.every((f) => OVER.has(f.state)) ? facts[0] : undefined
}

const OVER: ReadonlySet<JobState> = new Set(['Finished', 'Suspended', 'Drained', 'Failed'])

/** The part of the facts whose change matters at once. */
function significance(facts: JobFacts): string {
  const {
    version,
    run,
    leading,
    leader,
    epoch,
    attempt,
    state,
    message,
    error,
    restarts,
    parallelism,
    restoredFrom,
    checkpoint,
  } = facts
  return JSON.stringify([
    [
      version,
      run,
      leading,
      leader,
      epoch,
      attempt,
      state,
      message,
      error?.message,
      restarts,
      parallelism,
      restoredFrom,
    ],
    [checkpoint.consecutiveFailures, checkpoint.last === undefined],
    facts.operations.map((o) => [o.triggerId, o.status]),
    facts.recoveries[0]?.at,
    facts.recoveries[0]?.firstRecordMs,
  ])
}
