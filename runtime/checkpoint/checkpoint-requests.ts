import { WeirError } from '#runtime/base/errors'
import type { RunEnd } from '#runtime/contract/checkpoint-records'
import type { CheckpointOptions } from '#runtime/contract/job-options'
import { FAILURE_REASONS } from '#runtime/contract/failure-reasons'
import type { CheckpointId, Epoch } from '#runtime/contract/ids'
import {
  decide,
  initialDecider,
  offer,
  onFinished,
  onStarted,
  onStopped,
  type DeciderOptions,
  type DeciderState,
  type QueuedRequest,
} from './request-decider.ts'

/** A checkpoint that somebody asked for. */
export interface CheckpointRequest {
  readonly triggerId: string
  readonly kind: 'checkpoint' | 'savepoint'
  /**
   * Directory of the savepoint: a key below the job's root or a URL. Default: savepoints/ of the
   * job.
   */
  readonly path?: string
  /**
   * The run ends with it. Suspended, Drained: the tasks stop at its barrier (Drained: event time is
   * brought to its end first). Finished: the sources have ended.
   */
  readonly end?: RunEnd
}

export interface CheckpointResult {
  readonly id: CheckpointId
  readonly epoch: Epoch
  readonly type: 'checkpoint' | 'savepoint'
  /** URL of the directory, for restoring. */
  readonly path: string
  readonly sha256: string
  readonly sizeBytes: number
  readonly deltaBytes: number
  readonly maxParallelism: number
  readonly durationMs: number
  readonly completedAt: number
}

interface Asked {
  readonly promise: Promise<CheckpointResult>
  readonly resolve: (result: CheckpointResult) => void
  readonly reject: (error: WeirError) => void
}

type Queued = CheckpointRequest & QueuedRequest

const MAX_QUEUED = 1000
const MAX_REMEMBERED = 1000

/** The request decider with the promises of those who asked. */
export class CheckpointRequests {
  readonly #options: DeciderOptions
  readonly #asked = new Map<string, Asked>()
  readonly #done: string[] = []
  #decider: DeciderState<Queued> = initialDecider()

  constructor(options: CheckpointOptions) {
    this.#options = { intervalMs: options.intervalMs, minPauseMs: options.minPauseMs, maxQueued: MAX_QUEUED }
  }

  knows(triggerId: string): boolean {
    return this.#asked.has(triggerId)
  }

  ask(request: CheckpointRequest): Promise<CheckpointResult> {
    const known = this.#asked.get(request.triggerId)
    if (known !== undefined) return known.promise
    const offered = offer(this.#decider, { ...request, last: request.end !== undefined }, this.#options)
    if (offered.outcome === 'full') return Promise.reject(tooMany())
    this.#decider = offered.state
    const { promise, resolve, reject } = Promise.withResolvers<CheckpointResult>()
    // Whoever asked may have gone; the outcome is in the history as well.
    promise.catch(() => undefined)
    this.#asked.set(request.triggerId, { promise, resolve, reject })
    return promise
  }

  started(now: number): void {
    this.#decider = onStarted(this.#decider, now, this.#options)
  }

  /** Refuses everything that waits. */
  stopped(error: WeirError): void {
    const { state, dropped } = onStopped(this.#decider)
    this.#decider = state
    for (const request of dropped) this.reject(request, error)
  }

  decide(
    now: number,
  ):
    | { readonly action: 'trigger'; readonly request: CheckpointRequest | undefined }
    | { readonly action: 'wait'; readonly at: number | undefined } {
    const decision = decide(this.#decider, now, this.#options)
    if (decision.action === 'trigger') this.#decider = decision.state
    return decision
  }

  finished(now: number, completed: boolean): void {
    this.#decider = onFinished(this.#decider, now, completed)
  }

  resolve(request: CheckpointRequest, result: CheckpointResult): void {
    this.#asked.get(request.triggerId)?.resolve(result)
    this.#done.push(request.triggerId)
    for (const forgotten of this.#done.splice(0, this.#done.length - MAX_REMEMBERED))
      this.#asked.delete(forgotten)
  }

  reject(request: CheckpointRequest, error: WeirError): void {
    this.#asked.get(request.triggerId)?.reject(error)
    this.#asked.delete(request.triggerId)
  }
}

const tooMany = () =>
  new WeirError(
    'CKP_DECLINED',
    `No checkpoint was taken: ${FAILURE_REASONS.TOO_MANY_CHECKPOINT_REQUESTS.text}, ` +
      `${MAX_QUEUED} wait already. Ask again later.`,
    { context: { reason: 'TOO_MANY_CHECKPOINT_REQUESTS' } },
  )
