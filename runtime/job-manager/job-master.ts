/**
 * The shell around the job's machine: performs its effects, and turns what TaskManagers, the
 * coordinator, the log and people say into its events. It decides nothing.
 *
 * Events are handled one after another: what an effect raises waits until the effects of the event
 * before have been performed.
 */
import type { Clock, Timer } from '#runtime/base/clock'
import { toErrorData, WeirError, type ErrorData } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import { CheckpointCoordinator, type CheckpointRequest } from '#runtime/checkpoint/coordinator'
import type { Term } from '#runtime/commit-log/term'
import { FORMAT_VERSION, type LogRecordOf, type RestorePoint } from '#runtime/contract/checkpoint-records'
import type { FailureReason } from '#runtime/contract/failure-reasons'
import type { JobManagerConfig } from '#runtime/contract/process-config'
import type { ExceptionView, JobState as ShownState, OperationView } from '#runtime/contract/rest'
import type { FromJobManager, FromTaskManager, SubtaskPlace } from '#runtime/contract/rpc'
import { verifyRestore, type RestoreChoice } from '#runtime/restore/choose-restore-point'
import type { Stores } from '#runtime/storage/stores'
import type { Attempt, Member } from './attempt.ts'
import { deploymentOf } from './deployment.ts'
import type {
  Failure,
  JobEffect,
  JobEvent,
  JobSettings,
  JobState,
  JobTiming,
  StopOutcome,
} from './job-event.ts'
import { attemptOf, shownState, type CloseStatus, type StopRequest } from './job-phase.ts'
import { begin, next } from './job-state.ts'
import { Operations } from './operations.ts'
import type { PlannedJob } from './plan-job.ts'
import { Recoveries } from './recoveries.ts'
import { stopResult } from './stop-result.ts'
import type { RegisteredTaskManager, RegistryEvents, TaskManagerRegistry } from './task-manager-registry.ts'

export const JOB_TIMING: JobTiming = {
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
  onChange(): void
  /** The run has ended; the log says how. */
  onClosed(status: CloseStatus): void
  /** The term is over. */
  onOver(error: WeirError): void
}

export class JobMaster implements RegistryEvents {
  readonly coordinator: CheckpointCoordinator
  readonly operations: Operations
  readonly recoveries: Recoveries
  readonly #options: JobMasterOptions
  readonly #settings: JobSettings
  readonly #connections = new Map<string, RegisteredTaskManager>()
  readonly #stops = new Map<string, PromiseWithResolvers<Partial<OperationView>>>()
  readonly #events: JobEvent[] = []
  #state: JobState
  #since: number
  #exceptions: ExceptionView[] = []
  #timer: Timer | undefined
  #isHandling = false
  #closed = false

  constructor(options: JobMasterOptions) {
    const { clock, config, planned, term, timing = JOB_TIMING } = options
    this.#options = options
    this.#settings = {
      plan: planned.plan,
      run: config.run,
      epoch: term.epoch,
      expectedSlots: config.expectedSlots,
      restart: config.restart,
      restore: config.restore,
      timing,
    }
    this.#state = begin(this.#settings).state
    this.#since = clock.now()
    this.recoveries = new Recoveries(clock)
    this.operations = new Operations(clock, () => options.onChange())
    this.coordinator = this.#createCoordinator()
  }

  get state(): ShownState {
    return shownState(this.#state.phase)
  }
  get stateSince(): number {
    return this.#since
  }
  /** In words, why the state is what it is, and what is being waited for. */
  get message(): string {
    const { inDoubt } = this.#options.term
    return inDoubt === undefined ? this.#state.message : `${this.#state.message}. ${inDoubt.message}`
  }
  get error(): ErrorData | undefined {
    return this.#state.error
  }
  get restarts(): number {
    return this.#state.restarts
  }
  get attempt(): string | undefined {
    return attemptOf(this.#state.phase)?.id
  }
  get places(): readonly SubtaskPlace[] {
    return attemptOf(this.#state.phase)?.places ?? []
  }
  get finishedSubtasks(): ReadonlySet<string> {
    return attemptOf(this.#state.phase)?.finished ?? new Set()
  }
  get restoredFrom(): string | undefined {
    return this.#state.restoredFrom
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

  #createCoordinator(): CheckpointCoordinator {
    const { clock, random, logger, stores, term, config, onChange } = this.#options
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
      onFailureLimit: (error) => this.#dispatch({ type: 'FailureLimit', error: toErrorData(error) }),
      onFenced: (error) => this.#dispatch({ type: 'TermOver', error }),
      onChange,
    })
  }

  received(taskManager: RegisteredTaskManager, message: FromTaskManager): void {
    const event = this.#eventOf(taskManager.key, message)
    if (event !== undefined) this.#dispatch(event)
  }

  /** What a TaskManager says, as an event of the machine; what goes elsewhere gives none. */
  #eventOf(member: string, message: FromTaskManager): JobEvent | undefined {
    switch (message.type) {
      case 'fenced':
        return this.#fencedBy(message.epoch)
      case 'execution':
        return { type: 'Reported', member, report: message.report }
      case 'leaving':
        return { type: 'Leaving', member, why: message.why }
      case 'heartbeat':
        return { type: 'Heartbeat', member, attempt: message.attempt, progress: message.progress }
      case 'deployed':
        return { type: 'Deployed', member, attempt: message.attempt }
      case 'deployFailed':
        return { ...message, type: 'TaskFailed', member, subtask: undefined }
      case 'failed':
        return { ...message, type: 'TaskFailed', member }
      case 'finished':
        return { ...message, type: 'SubtaskFinished' }
      case 'committed':
        return { ...message, type: 'SubtaskCommitted' }
      case 'ack':
      case 'decline':
      case 'firstRecord':
      case 'hello':
        return this.#pass(message)
    }
  }

  #pass(message: Extract<FromTaskManager, { type: 'ack' | 'decline' | 'firstRecord' | 'hello' }>): undefined {
    if (message.type === 'ack') this.coordinator.onAck(message.ack)
    else if (message.type === 'decline') this.coordinator.onDecline(message.decline)
    else if (message.type === 'firstRecord' && message.attempt === this.attempt) {
      this.recoveries.firstRecord()
      this.#options.onChange()
    }
    return undefined
  }

  #fencedBy(epoch: number): JobEvent | undefined {
    const own = this.#options.term.epoch
    if (epoch <= own) return undefined
    const text = `A TaskManager has seen epoch ${epoch}; this leader's is ${own}`
    return { type: 'TermOver', error: new WeirError('FENCED', text) }
  }

  #dispatch(event: JobEvent): void {
    this.#events.push(event)
    if (this.#isHandling) return
    this.#isHandling = true
    try {
      for (let at = this.#events.shift(); at !== undefined; at = this.#events.shift()) this.#handle(at)
    } finally {
      this.#isHandling = false
    }
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
    const { kind: from } = before.phase
    const step = 'step' in before.phase ? before.phase.step : undefined
    this.#since = this.#options.clock.now()
    this.#options.logger.info({ from, step, phase: phase.kind, message }, 'job phase')
    if (phase.kind === 'Running') this.recoveries.running()
  }

  #perform(effect: JobEffect): void {
    switch (effect.type) {
      case 'send':
        return this.#send(effect.members, effect.message)
      case 'deploy':
        return this.#deploy(effect.attempt, effect.point)
      case 'verify':
        return void this.#verify(effect.deployment, effect.choice)
      case 'append':
        return void this.#append(effect.body)
      case 'startCoordinator':
        return this.#startCoordinator(effect)
      case 'stopCoordinator':
        return void this.#stopCoordinator(effect.reason)
      case 'takeCheckpoint':
        return void this.#takeCheckpoint(effect.request)
      case 'timer':
        return this.#setTimer(effect.delayMs)
      case 'answerStop':
        return this.#answerStop(effect.stop, effect.outcome)
      case 'noteFailure':
        return this.#noteFailure(effect.failure, effect.attempt)
      case 'closed':
        return this.#options.onClosed(effect.status)
      case 'over':
        return this.#over(effect.error)
    }
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

  #toAttempt(message: Extract<FromJobManager, { attempt: string }>): void {
    const attempt = attemptOf(this.#state.phase)
    if (attempt?.id === message.attempt) this.#send([...attempt.members.values()], message)
  }

  #deploy(attempt: Attempt, point: RestorePoint): void {
    const { planned, term } = this.#options
    const deployment = deploymentOf({
      attempt,
      point,
      planned,
      members: this.#state.members,
      log: term.state,
    })
    this.recoveries.deploying(point.kind === 'checkpoint' ? point.id : undefined)
    this.#send([...attempt.members.values()], { type: 'deploy', epoch: term.epoch, deployment })
  }

  async #verify(deployment: number, choice: RestoreChoice): Promise<void> {
    const { stores, config, term, planned } = this.#options
    const { job, restore } = config
    const { allowNonRestoredState = false } = restore ?? {}
    try {
      const { plan } = planned
      const verified = await verifyRestore(choice, {
        stores,
        job,
        log: term.state,
        plan,
        allowNonRestoredState,
      })
      this.#dispatch({ type: 'Verified', deployment, ...verified })
    } catch (error) {
      this.#dispatch({ type: 'VerifyFailed', deployment, error: toErrorData(error) })
    }
  }

  async #append(body: LogRecordOf<'DEPLOY'> | LogRecordOf<'CLOSE'>): Promise<void> {
    const outcome = await this.#options.term.append(body)
    const { kind } = body
    if (outcome.kind === 'appended') this.#dispatch({ type: 'Appended', kind })
    else if (outcome.kind === 'over') this.#dispatch({ type: 'TermOver', error: outcome.error })
    else this.#dispatch({ type: 'Refused', kind, error: toErrorData(outcome.error) })
  }

  #startCoordinator({ type: _, ...started }: Extract<JobEffect, { type: 'startCoordinator' }>): void {
    this.coordinator.start({ ...attemptPlan(this.#options.planned), ...started })
  }

  async #stopCoordinator(reason: FailureReason): Promise<void> {
    await this.coordinator.stop(reason)
    this.#dispatch({ type: 'Settled' })
  }

  async #takeCheckpoint(request: CheckpointRequest): Promise<void> {
    const { triggerId } = request
    try {
      const { id } = await this.coordinator.request(request)
      this.#dispatch({ type: 'CheckpointDone', triggerId, id })
    } catch (error) {
      this.#dispatch({ type: 'CheckpointFailed', triggerId, error: toErrorData(error) })
    }
  }

  #answerStop(stop: StopRequest, outcome: StopOutcome): void {
    const waiting = this.#stops.get(stop.triggerId)
    this.#stops.delete(stop.triggerId)
    const { term, stores } = this.#options
    const result = stopResult(stop, outcome, { log: term.state, storeUrl: stores.own.url })
    if (result instanceof WeirError) waiting?.reject(result)
    else waiting?.resolve(result)
  }

  #noteFailure({ error, subtask, taskManager, detectMs }: Failure, attempt: string): void {
    const { clock, logger } = this.#options
    const { restarts, message } = this.#state
    const { vertex, subtask: index } = subtask ?? { vertex: undefined, subtask: undefined }
    const at = clock.now()
    const view: ExceptionView = { at, attempt, vertex, subtask: index, taskManager, error }
    this.#exceptions = [view, ...this.#exceptions].slice(0, EXCEPTIONS_KEPT)
    this.recoveries.begin(error.message, { detectMs })
    logger.warn({ attempt, taskManager, vertex, subtask: index, error, restarts, message }, 'attempt failed')
  }

  #over(error: WeirError): void {
    if (this.#closed) return
    this.#closed = true
    this.#options.term.end(error)
    this.#options.registry.standBy()
    this.coordinator.close()
    this.#options.onOver(error)
  }
}

function attemptPlan({ plan }: PlannedJob) {
  return {
    planHash: plan.hash,
    maxParallelism: plan.maxParallelism,
    vertices: plan.vertices.map((v) => ({ id: v.id, parallelism: v.parallelism })),
  }
}
