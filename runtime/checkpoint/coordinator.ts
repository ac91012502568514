import type { Timer } from '#runtime/base/clock'
import { invariant, messageOf, WeirError } from '#runtime/base/errors'
import type { CheckpointDetails, CheckpointPhase, CheckpointsView } from '#runtime/contract/rest'
import type { SubtaskAck, SubtaskDecline } from '#runtime/contract/rpc'
import { checkpointDirectory, keyUrl } from '#runtime/storage/paths'
import { subtaskKeys } from './checkpoint-assembly.ts'
import { CheckpointFinalizer, type FinalizedCheckpoint } from './checkpoint-finalizer.ts'
import { CheckpointEntry, CheckpointHistory } from './checkpoint-history.ts'
import { CheckpointRequests, type CheckpointRequest, type CheckpointResult } from './checkpoint-requests.ts'
import { appendSettled } from './coordinator-log.ts'
import type { CheckpointCoordinatorOptions, StartedAttempt } from './coordinator-options.ts'
import {
  IDLE,
  inFlight,
  isFenced,
  next,
  type CheckpointInFlight,
  type CoordinatorEffect,
  type CoordinatorEvent,
  type CoordinatorState,
} from './coordinator-state.ts'
import { FAILURE_REASONS, type FailureReason } from '#runtime/contract/failure-reasons'
import type { Manifest } from '#runtime/contract/checkpoint-records'
import { placeSavepoint, type SavepointPlace } from './savepoint-place.ts'

export type {
  CheckpointCommands,
  CheckpointCoordinatorOptions,
  StartedAttempt,
} from './coordinator-options.ts'
export type { CheckpointRequest, CheckpointResult }

/** Everything about the one in flight that the state function need not know. */
interface Flight {
  readonly checkpoint: CheckpointInFlight
  readonly plan: StartedAttempt
  readonly request: CheckpointRequest | undefined
  readonly place: SavepointPlace
  readonly entry: CheckpointEntry
  readonly expiry: Timer
  finalized?: FinalizedCheckpoint
}

const RETRY_APPEND_MS = 1000

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
export class CheckpointCoordinator {
  readonly #deps: CheckpointCoordinatorOptions
  readonly #requests: CheckpointRequests
  readonly #history: CheckpointHistory
  readonly #finalizer: CheckpointFinalizer
  #state: CoordinatorState = IDLE
  #flight: Flight | undefined
  #attempt: StartedAttempt | undefined
  /** Last completed checkpoint of the running attempt. */
  #base: Manifest | undefined
  #highestId = 0
  #consecutiveFailures = 0
  #lastFailure:
    | { readonly id: number; readonly at: number; readonly reason: FailureReason; readonly message: string }
    | undefined
  #nextTrigger: Timer | undefined
  #settled: (() => void)[] = []
  #closed = false

  constructor(deps: CheckpointCoordinatorOptions) {
    this.#deps = deps
    this.#requests = new CheckpointRequests(deps.options)
    this.#history = new CheckpointHistory(deps.log.state.retained, (c) => this.#checkpointUrl(c.id, c.epoch))
    this.#finalizer = new CheckpointFinalizer(deps)
  }

  get phase(): CheckpointPhase {
    return this.#state.phase
  }
  /** Id in flight. */
  get inProgress(): number | undefined {
    return inFlight(this.#state)?.id
  }
  get history(): readonly CheckpointDetails[] {
    return this.#history.list
  }
  get counts(): CheckpointsView['counts'] {
    return this.#history.counts
  }
  get consecutiveFailures(): number {
    return this.#consecutiveFailures
  }
  get lastFailure():
    | { readonly id: number; readonly at: number; readonly reason: FailureReason; readonly message: string }
    | undefined {
    return this.#lastFailure
  }
  details(id: number): CheckpointDetails | undefined {
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
    this.#consecutiveFailures = 0
    this.#highestId = Math.max(this.#highestId, attempt.highestId ?? 0)
    if (attempt.restoredFrom !== undefined && attempt.restoredFrom > 0) this.#history.countRestored()
    this.#requests.started(this.#now())
    // Adopted from an earlier leader, who may have died between the record and telling the tasks.
    const { lastCheckpoint } = this.#deps.log.state
    if (lastCheckpoint?.attempt === attempt.attempt)
      this.#deps.send.complete(attempt.attempt, {
        checkpointId: lastCheckpoint.id,
        epoch: this.#deps.log.epoch,
      })
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
    const refused = this.#refusalOf(request)
    if (refused !== undefined) return Promise.reject(refused)
    const answer = this.#requests.ask(request)
    this.#decide()
    return answer
  }

  onAck(ack: SubtaskAck): void {
    this.#highestId = Math.max(this.#highestId, ack.checkpointId)
    this.#dispatch({ type: 'TaskStatusUpdate', ack })
  }

  onDecline(decline: SubtaskDecline): void {
    this.#highestId = Math.max(this.#highestId, decline.checkpointId)
    this.#dispatch({ type: 'Decline', decline: { ...decline, message: decline.error.message } })
  }

  /** A newer epoch was seen elsewhere (a TaskManager, the election). */
  fence(): void {
    this.#dispatch({ type: 'Fenced' })
  }

  /**
   * Stops at once: nothing is triggered, told or deleted any more. An append in flight is left to
   * itself.
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
    for (const effect of effects) this.#perform(effect, event)
    if (state !== before || effects.length > 0) this.#deps.onChange()
  }

  #perform(effect: CoordinatorEffect, event: CoordinatorEvent): void {
    switch (effect.type) {
      case 'sendTriggers':
        return this.#sendTriggers()
      case 'acknowledged':
        return this.#acknowledged(
          effect.outcome,
          (event as Extract<CoordinatorEvent, { type: 'TaskStatusUpdate' }>).ack as SubtaskAck,
        )
      case 'raise':
        return this.#dispatch(effect.event)
      case 'writeManifest':
        return void this.#finalize(this.#current())
      case 'sendAppend':
        return void this.#append(this.#current())
      case 'completed':
        return this.#completed(this.#current())
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
    if (this.#closed || attempt === undefined || inFlight(this.#state) !== undefined || isFenced(this.#state))
      return
    const decision = this.#requests.decide(this.#now())
    if (decision.action === 'trigger') return this.#trigger(attempt, decision.request)
    if (decision.at !== undefined)
      this.#nextTrigger = this.#deps.clock.after(decision.at - this.#now(), () => this.#decide())
  }

  #trigger(plan: StartedAttempt, request: CheckpointRequest | undefined): void {
    const { log, clock, options, store } = this.#deps
    const id = Math.max(log.state.highestId, this.#highestId) + 1
    this.#highestId = id
    const isSavepoint = request !== undefined && takesSavepoint(request)
    const checkpoint: CheckpointInFlight = {
      attempt: plan.attempt,
      epoch: log.epoch,
      id,
      base: isSavepoint ? 0 : (this.#base?.id ?? 0),
      kind: isSavepoint ? 'savepoint' : 'checkpoint',
      stop: request?.type === 'stop',
    }
    const directory = checkpointDirectory(id, log.epoch)
    const place = isSavepoint
      ? placeSavepoint(request.path, store.url, id, log.epoch)
      : { directory, url: this.#checkpointUrl(id, log.epoch) }
    const subtasks = subtaskKeys(plan)
    const entry = new CheckpointEntry(checkpoint, subtasks, place.url, clock)
    this.#history.add(entry)
    const expiry = clock.after(options.timeoutMs, () => this.#dispatch({ type: 'Expire', id }))
    this.#flight = { checkpoint, plan, request, place, entry, expiry }
    this.#deps.logger.debug(
      { checkpointId: id, base: checkpoint.base, kind: checkpoint.kind, triggerId: request?.triggerId },
      'checkpoint triggered',
    )
    this.#dispatch({ type: 'CheckpointRequest', checkpoint, subtasks })
  }

  #sendTriggers(): void {
    const { checkpoint, place, request } = this.#current()
    const { epoch, id, base, kind, stop, attempt } = checkpoint
    this.#deps.send.trigger(attempt, {
      epoch,
      id,
      base,
      kind,
      directory: place.directory,
      stop,
      drain: request?.drain ?? false,
    })
    this.#dispatch({ type: 'TriggersSent', id })
  }

  #acknowledged(outcome: string, ack: SubtaskAck): void {
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
    const { id } = flight.checkpoint
    try {
      const base = flight.checkpoint.base === 0 ? undefined : this.#base
      const result = await this.#finalizer.finalize({ ...flight, base })
      if (this.#flight !== flight) return
      if ('corrupt' in result)
        return this.#dispatch({
          type: 'FinalizeFailed',
          id,
          reason: 'CORRUPT_UPLOAD',
          message: result.corrupt,
        })
      flight.finalized = result
      this.#dispatch({ type: 'ManifestWritten', id })
    } catch (error) {
      this.#dispatch({
        type: 'FinalizeFailed',
        id,
        reason: 'FINALIZE_CHECKPOINT_FAILURE',
        message: messageOf(error),
      })
    }
  }

  async #append(flight: Flight): Promise<void> {
    const { log, logger, clock } = this.#deps
    const { id } = flight.checkpoint
    this.#dispatch({ type: 'AppendSent', id })
    const result = await appendSettled(log, (flight.finalized as FinalizedCheckpoint).body)
    if (result.outcome === 'appended' || result.outcome === 'fenced')
      return this.#dispatch({ type: 'AppendOutcome', id, outcome: result.outcome })
    logger.warn(
      { checkpointId: id, outcome: result.outcome, err: result.error },
      'checkpoint record not appended',
    )
    if (result.outcome === 'refused') return this.#dispatch({ type: 'AppendOutcome', id, outcome: 'refused' })
    clock.after(RETRY_APPEND_MS, () => this.#dispatch({ type: 'AppendOutcome', id, outcome: 'unknown' }))
  }

  #completed(flight: Flight): void {
    const { checkpoint, entry, request, plan } = flight
    const { manifest, result, commits } = flight.finalized as FinalizedCheckpoint
    entry.complete()
    this.#history.countEnded(true)
    this.#consecutiveFailures = 0
    if (checkpoint.kind === 'checkpoint' && this.#attempt === plan) this.#base = manifest
    this.#deps.logger.info(
      {
        checkpointId: checkpoint.id,
        kind: checkpoint.kind,
        sizeBytes: result.sizeBytes,
        deltaBytes: result.deltaBytes,
        durationMs: entry.durationMs,
      },
      'checkpoint completed',
    )
    if (commits)
      this.#deps.send.complete(checkpoint.attempt, { checkpointId: checkpoint.id, epoch: checkpoint.epoch })
    this.#finalizer.afterAppend(flight.finalized as FinalizedCheckpoint)
    this.#leave(flight, true)
    if (request !== undefined)
      this.#requests.resolve(request, {
        ...result,
        durationMs: entry.durationMs,
        completedAt: this.#deps.clock.now(),
      })
    this.#decide()
  }

  #ended({ checkpoint, reason, message, notify }: Extract<CoordinatorEffect, { type: 'ended' }>): void {
    const flight = this.#current()
    const text = `${checkpoint.kind} ${checkpoint.id} did not complete: ${message} (${reason})`
    const error = new WeirError('CKP_DECLINED', text, { context: { checkpointId: checkpoint.id, reason } })
    flight.entry.fail(reason, message)
    this.#history.countEnded(false)
    this.#lastFailure = { id: checkpoint.id, at: this.#deps.clock.now(), reason, message }
    this.#deps.logger.warn(
      { checkpointId: checkpoint.id, kind: checkpoint.kind, reason, failure: message },
      'checkpoint not completed',
    )
    if (notify) this.#deps.send.abort(checkpoint.attempt, checkpoint.id)
    this.#leave(flight, false)
    if (flight.request !== undefined) this.#requests.reject(flight.request, error)
    // A savepoint is somebody's wish: that it failed says nothing about the job's ability to
    // recover.
    if (FAILURE_REASONS[reason].counts && checkpoint.kind === 'checkpoint') this.#countFailure(error)
    this.#decide()
  }

  #countFailure(error: WeirError): void {
    this.#consecutiveFailures++
    const { tolerableFailures } = this.#deps.options
    if (this.#consecutiveFailures > tolerableFailures)
      this.#deps.onFailureLimit(
        new WeirError(
          'CKP_DECLINED',
          `${this.#consecutiveFailures} checkpoints in a row failed, ${tolerableFailures} are tolerated. Last: ${error.message}`,
          {
            cause: error,
            context: error.context,
            retry: 'restart-job',
          },
        ),
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
    const { log } = this.#deps
    this.#deps.onFenced(
      log.fenced ??
        new WeirError('FENCED', `Epoch ${log.epoch} is over: a newer epoch exists.`, {
          context: { ownEpoch: log.epoch },
        }),
    )
  }

  async #readBase(attempt: StartedAttempt): Promise<void> {
    const manifest = await this.#finalizer.readBase(attempt.attempt)
    if (this.#attempt === attempt && this.#base === undefined) this.#base = manifest
  }

  #refusalOf(request: CheckpointRequest): WeirError | undefined {
    if (this.#closed) return refusal('COORDINATOR_SHUTDOWN')
    if (isFenced(this.#state)) return refusal('FENCED')
    if (this.#requests.knows(request.triggerId)) return undefined
    if (this.#attempt === undefined) return refusal('NOT_ALL_REQUIRED_TASKS_RUNNING')
    if (!takesSavepoint(request)) return undefined
    try {
      const place = placeSavepoint(request.path, this.#deps.store.url, 1, 1)
      if (place.copyTo === undefined || this.#deps.openSavepointStore !== undefined) return undefined
      return new WeirError(
        'CFG_INVALID',
        `Savepoint path ${place.copyTo} is outside the job's storage ${this.#deps.store.url}.`,
      )
    } catch (error) {
      return error as WeirError
    }
  }

  #current(): Flight {
    invariant(this.#flight !== undefined, `no checkpoint in flight in phase ${this.#state.phase}`)
    return this.#flight
  }

  #now(): number {
    return this.#deps.clock.monotonic()
  }

  #checkpointUrl(id: number, epoch: number): string {
    return keyUrl(this.#deps.store.url, checkpointDirectory(id, epoch))
  }
}

function takesSavepoint(request: CheckpointRequest): boolean {
  return (
    request.type === 'savepoint' ||
    (request.type === 'stop' &&
      (request.mode ?? (request.path === undefined ? 'checkpoint' : 'savepoint')) === 'savepoint')
  )
}

const refusal = (reason: FailureReason): WeirError =>
  new WeirError('CKP_DECLINED', `No checkpoint was taken: ${FAILURE_REASONS[reason].text} (${reason}).`, {
    context: { reason },
  })
