import { type Clock, sleep } from '#runtime/base/clock'
import { type ErrorData, messageOf } from '#runtime/base/errors'
import { JobManagerClient } from '#runtime/contract/job-manager-client'
import type { JobFacts } from '#runtime/contract/rest'
import type { Story } from './story.ts'

const EVERY_MS = 200
const ANSWER_MS = 1500

export interface Sighting {
  /** Of the JobManager. */
  readonly name: string
  readonly facts: JobFacts
}

export interface WatcherOptions {
  /** How the job is called in the story. */
  readonly job: string
  /** REST of each JobManager, by name. */
  readonly jobManagers: ReadonlyMap<string, string>
  readonly story: Story
  readonly clock: Clock
}

/** Asks every JobManager of a run for the facts again and again, and tells what changes. */
export class Watcher implements AsyncDisposable {
  readonly #options: WatcherOptions
  readonly #closing = new AbortController()
  readonly #newest = new Map<string, JobFacts>()
  readonly #told = new Map<string, string>()
  readonly #loops: readonly Promise<void>[]
  /** Restarts and takeovers that were seen. */
  recoveries = 0
  /** In words: a job that ended as Failed. */
  failure: string | undefined
  #lastAttempt: string | undefined
  #lastEpoch = 0
  #lastCheckpoint = 0

  constructor(options: WatcherOptions) {
    this.#options = options
    this.#loops = [...options.jobManagers].map(([name, url]) => this.#follow(name, url))
  }

  /** Who leads by the newest answers. */
  leader(): Sighting | undefined {
    const leading = [...this.#newest].filter(([, facts]) => facts.leading)
    const [newest] = leading.toSorted(([, a], [, b]) => b.epoch - a.epoch)
    return newest === undefined ? undefined : { name: newest[0], facts: newest[1] }
  }

  /** Id of the newest completed checkpoint that anybody has ever told of; 0 before the first. */
  get lastCheckpoint(): number {
    return this.#lastCheckpoint
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    await Promise.all(this.#loops)
  }

  async #follow(name: string, url: string): Promise<void> {
    const { signal } = this.#closing
    const client = new JobManagerClient({ url }, { clock: this.#options.clock, answerMs: ANSWER_MS })
    while (!signal.aborted) {
      try {
        const facts = await client.overview()
        if (!signal.aborted) this.#take(name, facts)
      } catch (error) {
        // Killed, stopped or being started again; what it said last is not its word any more.
        this.#newest.delete(name)
        if (!signal.aborted) this.#tell(name, `does not answer (${briefly(messageOf(error))})`)
      }
      await sleep(this.#options.clock, EVERY_MS, signal).catch(() => undefined)
    }
  }

  #take(name: string, facts: JobFacts): void {
    this.#newest.set(name, facts)
    this.#lastCheckpoint = Math.max(this.#lastCheckpoint, facts.checkpoint.last?.id ?? 0)
    const { leading, epoch, attempt, state, message, error } = facts
    if (!leading) return this.#tell(name, 'stands by')
    this.#count(facts)
    this.#tell(name, `leads epoch ${epoch}, attempt ${attempt ?? '-'}: ${state}, ${briefly(message)}`)
    if (state === 'Failed') this.#noteFailure(error ?? { code: 'without an error', message })
  }

  /** The job's own code never throws, so nothing may end the job as Failed. */
  #noteFailure({ code, message }: Pick<ErrorData, 'message'> & { readonly code: string }): void {
    this.failure ??= `${this.#options.job} is Failed: ${code} ${message}`
  }

  #count({ epoch, attempt }: JobFacts): void {
    const isNewAttempt = attempt !== undefined && attempt !== this.#lastAttempt
    if (this.#lastAttempt !== undefined && (isNewAttempt || epoch > this.#lastEpoch)) this.recoveries++
    if (attempt !== undefined) this.#lastAttempt = attempt
    this.#lastEpoch = Math.max(this.#lastEpoch, epoch)
  }

  #tell(name: string, what: string): void {
    // Counts and durations in messages change all the time.
    const shape = what.replaceAll(/\d+/g, '#')
    const exact = /attempt \S+/.exec(what)?.[0] ?? ''
    if (this.#told.get(name) === shape + exact) return
    this.#told.set(name, shape + exact)
    this.#options.story.tell(`      ${this.#options.job} ${name} ${what}`)
  }
}

const LONGEST = 160
const briefly = (text: string): string => (text.length > LONGEST ? `${text.slice(0, LONGEST)}...` : text)
