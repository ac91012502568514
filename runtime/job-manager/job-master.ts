/**
 * The shell around the job's machine: performs its effects, and turns what TaskManagers, the
 * coordinator, the log and people say into its events. It decides nothing.
 */
import { byType } from '#runtime/base/by-type'
import type { Clock, Timer } from '#runtime/base/clock'
import { toErrorData, WeirError, type ErrorData } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import { CheckpointCoordinator, type CheckpointRequest } from '#runtime/checkpoint/coordinator'
import type { InDoubt } from '#runtime/commit-log/record-writer'
import type { Term } from '#runtime/commit-log/term'
import { FORMAT_VERSION } from '#runtime/contract/checkpoint-records'
import type { AttemptId, Epoch } from '#runtime/contract/ids'
import type { JobManagerConfig } from '#runtime/contract/process-config'
import type { ExceptionView, JobState as ShownState, OperationView } from '#runtime/contract/rest'
import type { FromJobManager, FromTaskManager, SubtaskPlace } from '#runtime/contract/rpc'
import { verifyRestore } from '#runtime/restore/choose-restore-point'
import type { Stores } from '#runtime/storage/stores'
import type { Member } from './attempt.ts'
import { attemptPlan, deploymentOf } from './deployment.ts'
import { EventQueue } from './event-queue.ts'
import type { JobEffect, JobEvent, JobSettings, JobState, JobTiming } from './job-event.ts'
import { attemptOf, shownState, type CloseStatus, type StopRequest } from './job-phase.ts'
import { begin, next } from './job-state.ts'
import { Operations } from './operations.ts'
import type { PlannedJob } from './plan-job.ts'
import { Recoveries } from './recoveries.ts'
import { stopResult } from './stop-result.ts'
import { eventOf } from './task-manager-events.ts'
import type { RegisteredTaskManager, RegistryEvents, TaskManagerRegistry } from './task-manager-registry.ts'

const JOB_TIMING: JobTiming = {
  adoptMs: 2000,
  noProgressMs: 60_000,
  handOverMs: 8000,
  retry: { initialMs: 500, maxMs: 10_000, multiplier: 2, jitter: 0.2 },
}

const EXCEPTIONS_KEPT = 20

export interface JobMasterOptions {
  readonly config: JobManagerConfig
  readonly planned: PlannedJob
  readonly term: Term
  /** From the lease to the opened epoch. */
  readonly electMs: number
  readonly stores: Stores
  readonly registry: Pick<TaskManagerRegistry, 'lead' | 'standBy'>
  readonly clock: Clock
  readonly random: () => number
  readonly logger: Logger
  readonly timing?: JobTiming
  /** From the record that retires files to their deletion; absent: the coordinator's default. */
  readonly deleteGraceMs?: number
  onChange(): void
  /** The run has ended; the log says how. */
  onClosed(status: CloseStatus): void
  /** The term is over. */
  onOver(error: WeirError): void
}

/** What there is to show of a job, in whatever phase it is. */
export interface JobView {
  readonly state: ShownState
  readonly stateSince: number
  /** In words, why the state is what it is, and what is being waited for. */
  readonly message: string
  readonly error: ErrorData | undefined
  readonly restarts: number
  readonly attempt: AttemptId | undefined
  readonly places: readonly SubtaskPlace[]
  /** Keys of subtasks that have seen the end of their data. */
  readonly finished: ReadonlySet<string>
  readonly restoredFrom: string | undefined
  /** The record whose outcome is open. */
  readonly inDoubt: InDoubt | undefined
}

type EffectOf<T extends JobEffect['type']> = Extract<JobEffect, { type: T }>
type Performers = { readonly [T in JobEffect['type']]: (effect: EffectOf<T>) => void }

export class JobMaster implements RegistryEvents {
  readonly coordinator: CheckpointCoordinator
  readonly operations: Operations
  readonly recoveries: Recoveries
  readonly #options: JobMasterOptions
  readonly #settings: JobSettings
  readonly #connections = new Map<string, RegisteredTaskManager>()
  readonly #stops = new Map<string, PromiseWithResolvers<Partial<OperationView>>>()
  readonly #events = new EventQueue<JobEvent>((event) => this.#handle(event))
  readonly #performers: Performers = {
    send: ({ members, message }) => this.#send(members, message),
    deploy: (effect) => this.#deploy(effect),
    verify: (effect) => void this.#verify(effect),
    append: (effect) => void this.#append(effect),
    startCoordinator: (effect) => this.#startCoordinator(effect),
    stopCoordinator: (effect) => void this.#stopCoordinator(effect),
    takeCheckpoint: ({ request }) => void this.#takeCheckpoint(request),
    timer: ({ delayMs }) => this.#setTimer(delayMs),
    answerStop: (effect) => this.#answerStop(effect),
    noteFailure: (effect) => this.#noteFailure(effect),
    closed: ({ status }) => this.#options.onClosed(status),
    over: ({ error }) => this.#over(error),
  }
  #state: JobState
  #since: number
  #exceptions: ExceptionView[] = []
  #timer: Timer | undefined

  constructor(options: JobMasterOptions) {
    const { clock, config, planned, term, timing = JOB_TIMING } = options
    const { run, expectedSlots, restart, restore } = config
    this.#options = options
    this.#settings = {
      plan: planned.plan,
      run,
      epoch: term.epoch,
      expectedSlots,
      restart,
      restore,
      timing,
    }
    this.#state = begin(this.#settings).state
    this.#since = clock.now()
    this.recoveries = new Recoveries(clock)
    this.operations = new Operations(clock, () => options.onChange())
    this.coordinator = this.#createCoordinator()
  }

  view(): JobView {
    const { phase, message, error, restarts, restoredFrom } = this.#state
    const { inDoubt } = this.#options.term
    const attempt = attemptOf(phase)
    return {
      state: shownState(phase),
      stateSince: this.#since,
      message: inDoubt === undefined ? message : `${message}. ${inDoubt.message}`,
      error,
      restarts,
      attempt: attempt?.id,
      places: attempt?.places ?? [],
      finished: attempt?.finished ?? new Set(),
      restoredFrom,
      inDoubt,
    }
  }

  get exceptions(): readonly ExceptionView[] {
    return this.#exceptions
  }

  start(): void {
    const { term, config, registry, electMs } = this.#options
    if (term.state.deploy?.run === config.run)
      this.recoveries.begin(`JobManager replaced; epoch ${term.epoch}`, { electMs })
    for (const effect of begin(this.#settings).effects) this.#perform(effect)
    registry.lead(term.epoch, this)
  }

  /** The term or the process ends; running tasks are left alone for the next leader. */
  close(reason: WeirError): void {
    this.#options.term.end(reason)
    this.#dispatch({ type: 'TermOver', error: reason })
  }

  // --- What TaskManagers say --------------------------------------------------------------------

  registered(taskManager: RegisteredTaskManager): void {
    const { key, id, slots, dataAddress, leaving } = taskManager
    const member: Member = { key, id, slots, dataAddress, leaving }
    this.#connections.set(key, taskManager)
    this.#dispatch({ type: 'Registered', member })
  }

  lost({ key }: RegisteredTaskManager, why: string, silentMs: number): void {
    this.#connections.delete(key)
    this.#dispatch({ type: 'Lost', member: key, why, silentMs })
  }

  received({ key }: RegisteredTaskManager, message: FromTaskManager): void {
    const event = eventOf(key, message)
    if (event !== undefined) return this.#dispatch(event)
    if (message.type === 'ack') this.coordinator.onAck(message.ack)
    else if (message.type === 'decline') this.coordinator.onDecline(message.decline)
    else if (message.type === 'firstRecord') this.#onFirstRecord(message.attempt)
    else if (message.type === 'fenced') this.#onFenced(message.epoch)
  }

  #onFirstRecord(attempt: AttemptId): void {
    if (attempt !== attemptOf(this.#state.phase)?.id) return
    this.recoveries.firstRecord()
    this.#options.onChange()
  }

  #onFenced(epoch: Epoch): void {
    const own = this.#options.term.epoch
    if (epoch <= own) return
    const text = `A TaskManager has seen epoch ${epoch}; this leader's is ${own}`
    this.#dispatch({ type: 'TermOver', error: new WeirError('FENCED', text) })
  }

  // --- What people ask for ----------------------------------------------------------------------

  checkpoint(triggerId: string): OperationView {
    return this.operations.start(triggerId, 'checkpoint', () => this.#take({ triggerId, kind: 'checkpoint' }))
  }

  savepoint(triggerId: string, path: string | undefined): OperationView {
    const place = path === undefined ? {} : { path }
    return this.operations.start(triggerId, 'savepoint', () =>
      this.#take({ triggerId, kind: 'savepoint', ...place }),
    )
  }

  /**
   * Stops the run with a last checkpoint or savepoint; it is closed when the operation completes.
   * What cannot be done is refused and leaves the job as it is.
   */
  stop(stop: StopRequest): OperationView {
    return this.operations.start(stop.triggerId, 'stop', () => {
      const refused = stop.savepoint && this.coordinator.savepointRefusal(stop.savepoint.path)
      if (refused !== undefined) return Promise.reject(refused)
      const waiting = Promise.withResolvers<Partial<OperationView>>()
      this.#stops.set(stop.triggerId, waiting)
      this.#dispatch({ type: 'StopRequested', stop })
      return waiting.promise
    })
  }

  async #take(request: CheckpointRequest): Promise<Partial<OperationView>> {
    const { id, path, sizeBytes, maxParallelism } = await this.coordinator.request(request)
    return { checkpointId: id, path, sizeBytes, maxParallelism, formatVersion: FORMAT_VERSION }
  }

  #answerStop({ stop, outcome }: EffectOf<'answerStop'>): void {
    const waiting = this.#stops.get(stop.triggerId)
    this.#stops.delete(stop.triggerId)
    const { term, stores } = this.#options
    const result = stopResult(stop, outcome, { log: term.state, storeUrl: stores.own.url })
    if (result instanceof WeirError) waiting?.reject(result)
    else waiting?.resolve(result)
  }

  // --- The machine ------------------------------------------------------------------------------

  #dispatch(event: JobEvent): void {
    this.#events.push(event)
  }

  #handle(event: JobEvent): void {
    const { clock, random, term, onChange } = this.#options
    const before = this.#state
    const moment = { now: clock.monotonic(), random: random(), log: term.state }
    const { state, effects } = next(this.#settings, before, event, moment)
    this.#state = state
    if (state.phase.kind !== before.phase.kind) this.#entered(before)
    for (const effect of effects) this.#perform(effect)
    if (state !== before) onChange()
  }

  #entered(before: JobState): void {
    const { phase, message } = this.#state
    this.#since = this.#options.clock.now()
    const step = 'step' in before.phase ? before.phase.step : undefined
    this.#options.logger.info({ from: before.phase.kind, step, phase: phase.kind, message }, 'job phase')
    if (phase.kind === 'Running') this.recoveries.running()
  }

  #perform(effect: JobEffect): void {
    byType(this.#performers, effect)
  }

  #setTimer(delayMs: number | undefined): void {
    this.#timer?.cancel()
    this.#timer =
      delayMs === undefined
        ? undefined
        : this.#options.clock.after(delayMs, () => this.#dispatch({ type: 'TimeOut' }))
  }

  #send(members: readonly string[], message: FromJobManager): void {
    for (const key of members) this.#connections.get(key)?.send(message)
  }

  #toAttempt(message: Extract<FromJobManager, { attempt: AttemptId }>): void {
    const attempt = attemptOf(this.#state.phase)
    if (attempt?.id === message.attempt) this.#send([...attempt.members.values()], message)
  }

  #deploy({ attempt, point }: EffectOf<'deploy'>): void {
    const { planned, term } = this.#options
    const { members } = this.#state
    const deployment = deploymentOf({ attempt, point, planned, members, log: term.state })
    this.recoveries.deploying(point.kind === 'checkpoint' ? point.id : undefined)
    this.#send([...attempt.members.values()], { type: 'deploy', epoch: term.epoch, deployment })
  }

  async #verify({ deployment, choice }: EffectOf<'verify'>): Promise<void> {
    const { stores, config, term, planned } = this.#options
    const { job, restore } = config
    const allowNonRestoredState = config.allowNonRestoredState ?? restore?.allowNonRestoredState ?? false
    const { plan } = planned
    const log = term.state
    const verifying = verifyRestore(choice, { stores, job, log, plan, allowNonRestoredState })
    this.#dispatch(
      await verifying.then(
        (verified): JobEvent => ({ type: 'Verified', deployment, ...verified }),
        (error: unknown): JobEvent => ({ type: 'VerifyFailed', deployment, error: toErrorData(error) }),
      ),
    )
  }

  async #append({ body }: EffectOf<'append'>): Promise<void> {
    const outcome = await this.#options.term.append(body)
    const { kind } = body
    if (outcome.kind === 'appended') this.#dispatch({ type: 'Appended', kind })
    else if (outcome.kind === 'over') this.#dispatch({ type: 'TermOver', error: outcome.error })
    else this.#dispatch({ type: 'Refused', kind, error: toErrorData(outcome.error) })
  }

  #noteFailure({ failure, attempt }: EffectOf<'noteFailure'>): void {
    const { error, subtask, taskManager, detectMs } = failure
    const { clock, logger } = this.#options
    const { restarts, message } = this.#state
    const place = { vertex: subtask?.vertex, subtask: subtask?.subtask, taskManager }
    const view: ExceptionView = { at: clock.now(), attempt, ...place, error }
    this.#exceptions = [view, ...this.#exceptions].slice(0, EXCEPTIONS_KEPT)
    this.recoveries.begin(error.message, { detectMs })
    logger.warn({ attempt, ...place, error, restarts, message }, 'attempt failed')
  }

  #over(error: WeirError): void {
    this.#options.term.end(error)
    this.#options.registry.standBy()
    this.coordinator.close()
    this.#options.onOver(error)
  }

  // --- The coordinator --------------------------------------------------------------------------

  #createCoordinator(): CheckpointCoordinator {
    const { clock, random, logger, stores, term, config, deleteGraceMs, onChange } = this.#options
    const { epoch } = term
    return new CheckpointCoordinator({
      clock,
      random,
      logger,
      store: stores.own,
      term,
      job: config.job,
      options: config.checkpoint,
      send: {
        trigger: (attempt, barrier) => this.#toAttempt({ type: 'trigger', epoch, attempt, barrier }),
        complete: (attempt, permit) => this.#toAttempt({ type: 'complete', epoch, attempt, permit }),
        abort: (attempt, checkpointId) => this.#toAttempt({ type: 'abort', epoch, attempt, checkpointId }),
      },
      openSavepointStore: (url) => stores.at(url),
      ...(deleteGraceMs === undefined ? {} : { deleteGraceMs }),
      onFailureLimit: (error) => this.#dispatch({ type: 'FailureLimit', error: toErrorData(error) }),
      onFenced: (error) => this.#dispatch({ type: 'TermOver', error }),
      onChange,
    })
  }

  #startCoordinator({ attempt, isRestored, highestId }: EffectOf<'startCoordinator'>): void {
    this.coordinator.start({ ...attemptPlan(this.#options.planned), attempt, isRestored, highestId })
  }

  async #stopCoordinator({ reason }: EffectOf<'stopCoordinator'>): Promise<void> {
    await this.coordinator.stop(reason)
    this.#dispatch({ type: 'Settled' })
  }

  async #takeCheckpoint(request: CheckpointRequest): Promise<void> {
    const { triggerId } = request
    const event = await this.coordinator.request(request).then(
      ({ id }): JobEvent => ({ type: 'CheckpointDone', triggerId, id }),
      (error: unknown): JobEvent => ({ type: 'CheckpointFailed', triggerId, error: toErrorData(error) }),
    )
    this.#dispatch(event)
  }
}
