/**
 * The shell around the checkpoint state function: triggers on time, collects acknowledgements,
 * stores the manifest, appends the record, tells the tasks.
 *
 * I1 What it tells the tasks and callers follows the log: `complete` only after the append is
 *    certain, `abort` only before it was sent.
 * I2 Everything asynchronous names its checkpoint id; what belongs to another one falls through the
 *    table.
 * I3 Ids grow over everything seen, so that (epoch, id) and the directory `<id>-<epoch>` are never
 *    used twice.
 * I4 A barrier's base is the last completed checkpoint of the same attempt, whose files no
 *    retirement can touch before the next completion.
 */
import type { Timer } from '#runtime/base/clock'
import { invariant, messageOf, WeirError } from '#runtime/base/errors'
import type { Manifest } from '#runtime/contract/checkpoint-records'
import { FAILURE_REASONS, type FailureReason } from '#runtime/contract/failure-reasons'
import type { CheckpointId } from '#runtime/contract/ids'
import type {
  CheckpointDetails,
  CheckpointPhase,
  CheckpointsView,
  PinRequest,
  PinView,
} from '#runtime/contract/rest'
import type { SubtaskAck, SubtaskDecline } from '#runtime/contract/rpc'
import { keyUrl, manifestDirectory } from '#runtime/storage/paths'
import { subtaskKeys } from './checkpoint-assembly.ts'
import { CheckpointFinalizer } from './checkpoint-finalizer.ts'
import type { CheckpointInFlight, FinalizedCheckpoint } from './checkpoint-stages.ts'
import { CheckpointEntry, CheckpointHistory, type CheckpointFailure } from './checkpoint-history.ts'
import { CheckpointPins } from './checkpoint-pins.ts'
import { CheckpointRequests, type CheckpointRequest, type CheckpointResult } from './checkpoint-requests.ts'
import type { CheckpointCoordinatorOptions, StartedAttempt } from './coordinator-options.ts'
import {
  IDLE,
  inFlight,
  isFenced,
  next,
  type CoordinatorEffect,
  type CoordinatorEvent,
  type CoordinatorState,
} from './coordinator-state.ts'
import { barrierOf, checkpointWait, placeOf, type Flight } from './flight.ts'
import { pathRefusal } from './savepoint-place.ts'

export type { CheckpointRequest, CheckpointResult }

export class CheckpointCoordinator {
  readonly #deps: CheckpointCoordinatorOptions
  readonly #requests: CheckpointRequests
  readonly #history: CheckpointHistory
  readonly #pins: CheckpointPins
  readonly #finalizer: CheckpointFinalizer
  #state: CoordinatorState = IDLE
  #flight: Flight | undefined
  #attempt: StartedAttempt | undefined
  /** Last completed checkpoint of the running attempt. */
  #base: Manifest | undefined
  #highestId = 0
  #nextTrigger: Timer | undefined
  #settled: (() => void)[] = []
  #closed = false

  constructor(deps: CheckpointCoordinatorOptions) {
    this.#deps = deps
    this.#requests = new CheckpointRequests(deps.options)
    this.#history = new CheckpointHistory(deps.term.state.retained, ({ manifest }) =>
      keyUrl(deps.store.url, manifestDirectory(manifest)),
    )
    this.#pins = new CheckpointPins(deps)
    this.#finalizer = new CheckpointFinalizer({ ...deps, pins: this.#pins })
  }

  get phase(): CheckpointPhase {
    return this.#state.phase
  }
  /** Id in flight. */
  get inProgress(): number | undefined {
    return inFlight(this.#state)?.id
  }
  get waiting() {
    return checkpointWait(this.#state, this.#flight?.entry.triggeredAt ?? 0, this.#finalizer.trouble)
  }
  get history(): readonly CheckpointDetails[] {
    return this.#history.list
  }
  get counts(): CheckpointsView['counts'] {
    return this.#history.counts
  }
  get consecutiveFailures(): number {
    return this.#history.consecutiveFailures
  }
  get lastFailure(): CheckpointFailure | undefined {
    return this.#history.lastFailure
  }
  details(id: CheckpointId): CheckpointDetails | undefined {
    return this.#history.find(id)
  }

  /**
   * All subtasks of the attempt run: triggers begin, the first periodic one after an interval. For
   * an attempt adopted from an earlier leader the base is read back from its last checkpoint; until
   * then (and if it cannot be read) checkpoints are written in full.
   */
  start(attempt: StartedAttempt): void {
    invariant(
      inFlight(this.#state) === undefined,
      `attempt ${attempt.attempt} started while checkpoint ${this.inProgress} is in flight`,
    )
    invariant(
      this.#attempt === undefined,
      `attempt ${attempt.attempt} started while ${this.#attempt?.attempt} runs`,
    )
    this.#attempt = attempt
    this.#base = undefined
    this.#highestId = Math.max(this.#highestId, attempt.highestId)
    this.#history.attemptStarted(attempt.isRestored)
    this.#requests.started(this.#now())
    this.#repeatPermit(attempt)
    void this.#readBase(attempt)
    this.#decide()
  }

  /**
   * The attempt is over. What is in flight is aborted, unless its record may be in the log already:
   * then the promise waits until that is certain. Only when it has resolved does the log say where
   * the next attempt must start from: choosing earlier could repeat output that this checkpoint
   * commits.
   */
  async stop(reason: FailureReason): Promise<void> {
    const attempt = this.#attempt
    this.#attempt = undefined
    this.#nextTrigger?.cancel()
    this.#requests.stopped(refusal(reason))
    if (attempt !== undefined) this.#dispatch({ type: 'AttemptLost', attempt: attempt.attempt, reason })
    if (inFlight(this.#state) !== undefined) await new Promise<void>((resolve) => this.#settled.push(resolve))
  }

  /**
   * Idempotent by `triggerId` while queued, in flight or completed; after a failure the same id may
   * be asked for again.
   */
  request(request: CheckpointRequest): Promise<CheckpointResult> {
    const refused = this.refusalOf(request)
    if (refused !== undefined) return Promise.reject(refused)
    const answer = this.#requests.ask(request)
    this.#decide()
    return answer
  }

  /** Why `request` would not even be tried; undefined when it would. */
  refusalOf(request: CheckpointRequest): WeirError | undefined {
    if (this.#closed) return refusal('COORDINATOR_SHUTDOWN')
    if (isFenced(this.#state)) return refusal('FENCED')
    if (this.#requests.knows(request.triggerId)) return undefined
    if (this.#attempt === undefined) return refusal('NOT_ALL_REQUIRED_TASKS_RUNNING')
    return request.kind === 'savepoint' ? this.savepointRefusal(request.path) : undefined
  }

  /** Why a savepoint cannot be written to `path`, whatever the job does. */
  savepointRefusal(path: string | undefined): WeirError | undefined {
    const { store, openSavepointStore } = this.#deps
    return pathRefusal(path, store.url, openSavepointStore !== undefined)
  }

  /**
   * Keeps a retained checkpoint from being retired, so that a fork may start from it.
   * @throws {WeirError} as CheckpointPins.pin
   */
  pin(request: PinRequest): Promise<PinView> {
    return this.#pins.pin(request)
  }

  onAck(ack: SubtaskAck): void {
    this.#highestId = Math.max(this.#highestId, ack.checkpointId)
    this.#dispatch({ type: 'TaskStatusUpdate', ack })
  }

  onDecline(decline: SubtaskDecline): void {
    this.#highestId = Math.max(this.#highestId, decline.checkpointId)
    this.#dispatch({ type: 'Decline', decline })
  }

  /**
   * Stops at once: nothing is triggered, told or deleted any more. An append in flight is left to
   * its term.
   */
  close(): void {
    if (this.#closed) return
    void this.stop('COORDINATOR_SHUTDOWN')
    this.#closed = true
    this.#finalizer.close()
    this.#flight?.expiry.cancel()
    this.#requests.stopped(refusal('COORDINATOR_SHUTDOWN'))
    for (const resolve of this.#settled.splice(0)) resolve()
  }

  #dispatch(event: CoordinatorEvent): void {
    if (this.#closed) return
    const before = this.#state
    const { state, effects } = next(before, event)
    this.#state = state
    for (const effect of effects) this.#perform(effect)
    if (state !== before || effects.length > 0) this.#deps.onChange()
  }

  #perform(effect: CoordinatorEffect): void {
    switch (effect.type) {
      case 'sendTriggers':
        return this.#sendTriggers()
      case 'acknowledged':
        return this.#acknowledged(effect)
      case 'raise':
        return this.#dispatch(effect.event)
      case 'writeManifest':
        return void this.#finalize(this.#current())
      case 'sendAppend':
        return void this.#append(effect.finalized)
      case 'completed':
        return this.#completed(effect.finalized)
      case 'ended':
        return this.#ended(effect)
      case 'stopped':
        return this.#fenced()
      case 'refuse':
        throw new WeirError(
          'BUG',
          `Checkpoint requested in phase ${this.#state.phase}: ${FAILURE_REASONS[effect.reason].text}`,
        )
    }
  }

  /** Triggers what is due, or sets the timer for it. */
  #decide(): void {
    this.#nextTrigger?.cancel()
    const attempt = this.#attempt
    if (this.#closed || attempt === undefined || isFenced(this.#state)) return
    if (inFlight(this.#state) !== undefined) return
    const decision = this.#requests.decide(this.#now())
    if (decision.action === 'trigger') return this.#trigger(attempt, decision.request)
    if (decision.at !== undefined)
      this.#nextTrigger = this.#deps.clock.after(decision.at - this.#now(), () => this.#decide())
  }

  #trigger(plan: StartedAttempt, request: CheckpointRequest | undefined): void {
    const { term, clock, options, logger } = this.#deps
    const id = Math.max(term.state.highestId, this.#highestId) + 1
    this.#highestId = id
    const kind = request?.kind ?? 'checkpoint'
    const base = kind === 'savepoint' ? 0 : (this.#base?.id ?? 0)
    const checkpoint: CheckpointInFlight = { attempt: plan.attempt, epoch: term.epoch, id, base, kind }
    const place = placeOf(checkpoint, request, this.#deps.store.url)
    const subtasks = subtaskKeys(plan)
    const entry = new CheckpointEntry(checkpoint, subtasks, clock)
    this.#history.add(entry)
    const expiry = clock.after(options.timeoutMs, () => this.#dispatch({ type: 'Expire', id }))
    this.#flight = { checkpoint, plan, request, place, entry, expiry }
    logger.debug({ checkpointId: id, base, kind, triggerId: request?.triggerId }, 'checkpoint triggered')
    this.#dispatch({ type: 'CheckpointRequest', checkpoint, subtasks })
  }

  #sendTriggers(): void {
    const flight = this.#current()
    const { id, attempt } = flight.checkpoint
    this.#deps.send.trigger(attempt, barrierOf(flight))
    this.#dispatch({ type: 'TriggersSent', id })
  }

  #acknowledged({ outcome, ack }: Extract<CoordinatorEffect, { type: 'acknowledged' }>): void {
    const { vertex, subtask, checkpointId, attempt } = ack
    if (outcome === 'SUCCESS')
      this.#current().entry.acks.set(`${vertex}/${subtask}`, { ack, at: this.#deps.clock.now() })
    else
      this.#deps.logger.debug(
        { vertex, subtask, checkpointId, attempt, outcome },
        'acknowledgement not counted',
      )
  }

  async #finalize(flight: Flight): Promise<void> {
    const { id, base } = flight.checkpoint
    try {
      const result = await this.#finalizer.finalize({ ...flight, base: base === 0 ? undefined : this.#base })
      if ('corrupt' in result)
        this.#dispatch({ type: 'FinalizeFailed', id, reason: 'CORRUPT_UPLOAD', message: result.corrupt })
      else this.#dispatch({ type: 'ManifestWritten', id, finalized: result })
    } catch (error) {
      const reason = 'FINALIZE_CHECKPOINT_FAILURE'
      this.#dispatch({ type: 'FinalizeFailed', id, reason, message: messageOf(error) })
    }
  }

  async #append({ body }: FinalizedCheckpoint): Promise<void> {
    const { term, logger } = this.#deps
    const { id } = body
    const outcome = await term.append(body)
    if (outcome.kind !== 'refused') return this.#dispatch({ type: 'AppendOutcome', id, outcome })
    logger.warn({ checkpointId: id, err: outcome.error }, 'checkpoint record refused')
    const { message } = outcome.error
    this.#dispatch({ type: 'AppendOutcome', id, outcome: { kind: 'refused', message } })
  }

  #completed(finalized: FinalizedCheckpoint): void {
    const flight = this.#current()
    const { checkpoint, entry, request, plan } = flight
    const { manifest, result, commits } = finalized
    entry.complete(result.path)
    this.#history.countCompleted()
    if (checkpoint.kind === 'checkpoint' && this.#attempt === plan) this.#base = manifest
    const { id, epoch, kind } = checkpoint
    const { sizeBytes, deltaBytes } = result
    const { durationMs } = entry
    this.#deps.logger.info(
      { checkpointId: id, kind, sizeBytes, deltaBytes, durationMs },
      'checkpoint completed',
    )
    if (commits) this.#deps.send.complete(checkpoint.attempt, { checkpointId: id, epoch })
    this.#finalizer.afterAppend(finalized)
    this.#leave(flight, true)
    if (request !== undefined)
      this.#requests.resolve(request, { ...result, durationMs, completedAt: this.#deps.clock.now() })
    this.#decide()
  }

  #ended({ checkpoint, reason, message, notify }: Extract<CoordinatorEffect, { type: 'ended' }>): void {
    const flight = this.#current()
    const { id, kind, attempt } = checkpoint
    const text = `${kind} ${id} did not complete: ${message} (${reason})`
    const error = new WeirError('CKP_DECLINED', text, { context: { checkpointId: id, reason } })
    flight.entry.fail(reason, message)
    // A savepoint is somebody's wish: that it failed says nothing about the job's ability to
    // recover.
    const counts = FAILURE_REASONS[reason].counts && kind === 'checkpoint'
    this.#history.countFailed({ id, at: this.#deps.clock.now(), reason, message }, counts)
    this.#deps.logger.warn({ checkpointId: id, kind, reason, failure: message }, 'checkpoint not completed')
    if (notify) this.#deps.send.abort(attempt, id)
    this.#leave(flight, false)
    if (flight.request !== undefined) this.#requests.reject(flight.request, error)
    if (counts) this.#checkFailureLimit(error)
    this.#decide()
  }

  #checkFailureLimit(error: WeirError): void {
    const { tolerableFailures } = this.#deps.options
    const { consecutiveFailures } = this.#history
    if (consecutiveFailures <= tolerableFailures) return
    const text = `${consecutiveFailures} checkpoints in a row failed, ${tolerableFailures} are tolerated`
    this.#deps.onFailureLimit(
      new WeirError('CKP_DECLINED', `${text}. Last: ${error.message}`, {
        cause: error,
        context: error.context,
        retry: 'restart-job',
      }),
    )
  }

  #leave(flight: Flight, completed: boolean): void {
    flight.expiry.cancel()
    this.#flight = undefined
    this.#requests.finished(this.#now(), completed)
    for (const resolve of this.#settled.splice(0)) resolve()
  }

  #fenced(): void {
    this.#nextTrigger?.cancel()
    this.#finalizer.close()
    this.#attempt = undefined
    this.#requests.stopped(refusal('FENCED'))
    const { term } = this.#deps
    this.#deps.onFenced(term.over ?? new WeirError('FENCED', `Epoch ${term.epoch} is over.`))
  }

  /** An earlier leader may have died between the record and telling the tasks. */
  #repeatPermit({ attempt }: StartedAttempt): void {
    const { term, send } = this.#deps
    const { lastCheckpoint } = term.state
    if (lastCheckpoint?.attempt === attempt)
      send.complete(attempt, { checkpointId: lastCheckpoint.id, epoch: term.epoch })
  }

  async #readBase(attempt: StartedAttempt): Promise<void> {
    const manifest = await this.#finalizer.readBase(attempt.attempt)
    if (this.#attempt === attempt && this.#base === undefined) this.#base = manifest
  }

  #current(): Flight {
    invariant(this.#flight !== undefined, `no checkpoint in flight in phase ${this.#state.phase}`)
    return this.#flight
  }

  #now(): number {
    return this.#deps.clock.monotonic()
  }
}

const refusal = (reason: FailureReason): WeirError =>
  new WeirError('CKP_DECLINED', `No checkpoint was taken: ${FAILURE_REASONS[reason].text} (${reason}).`, {
    context: { reason },
  })
