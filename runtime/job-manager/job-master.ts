import type { Clock, Timer } from '#runtime/base/clock'
import { WeirError, fromErrorData, toErrorData, type ErrorData } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import type { JobManagerConfig, S3Access } from '#runtime/contract/process-config'
import type { ExceptionView, JobState, OperationView } from '#runtime/contract/rest'
import type {
  Deployment,
  ExecutionReport,
  FromJobManager,
  FromTaskManager,
  SubtaskPlace,
  SubtaskRef,
} from '#runtime/contract/rpc'
import type { CommitLog } from '#runtime/commit-log/commit-log'
import { CheckpointCoordinator, type CheckpointResult } from '#runtime/checkpoint/coordinator'
import { nextAttempt } from '#runtime/commit-log/log-state'
import { FORMAT_VERSION, type LogRecordOf } from '#runtime/contract/checkpoint-records'
import type { CheckpointStore } from '#runtime/storage/checkpoint-store'
import { keyUrl } from '#runtime/storage/paths'
import { openStoreAt } from '#runtime/storage/storage-url'
import type { ExecutionPlan } from '#runtime/contract/job-plan'
import { decideAdoption, type AdoptionDecision } from './adoption.ts'
import { Attempt } from './attempt.ts'
import { restorePointOf, verifyRestorePoint } from '#runtime/restore/choose-restore-point'
import { assertTransition, isFinal } from './job-lifecycle.ts'
import { Operations } from './operations.ts'
import type { PlannedJob } from './plan-job.ts'
import { Recoveries } from './recoveries.ts'
import { decideRestart, noFailures, type FailureHistory } from './restart-strategy.ts'
import { assignSlots, slotsWanted } from './scheduler.ts'
import type { RegisteredTaskManager, RegistryEvents, TaskManagerRegistry } from './task-manager-registry.ts'

const DEPLOY_LIMIT_MS = 60_000
const ADOPT_LIMIT_MS = 2000
/** Less than the 10 s that a leaving TaskManager waits to be relieved. */
const HAND_OVER_LIMIT_MS = 8000
const FINAL_CHECKPOINT_TRIES = 5
const EXCEPTIONS_KEPT = 20

export interface JobMasterOptions {
  readonly config: JobManagerConfig
  readonly planned: PlannedJob
  readonly epoch: number
  /** From the lease to the opened epoch. */
  readonly electMs: number
  readonly log: CommitLog
  readonly store: CheckpointStore
  readonly s3: S3Access | undefined
  readonly registry: TaskManagerRegistry
  readonly clock: Clock
  readonly random: () => number
  readonly logger: Logger
  onChange(): void
  /** A newer epoch exists: this leadership is over. */
  onFenced(error: WeirError): void
}

/**
 * The job under one leadership: schedules attempts, restarts them, lets the coordinator checkpoint
 * them, ends them. Longer than other files because it is one state machine; what it decides is pure
 * and elsewhere (scheduler, restart-strategy, adoption, choose-restore-point).
 * M1 A DEPLOY record is in the log before any deploy command leaves.
 * M2 Messages of another attempt than the current one are dropped.
 * M3 A job is closed only after every sink has said that it committed the last checkpoint.
 */
export class JobMaster implements RegistryEvents {
  readonly #options: JobMasterOptions
  readonly coordinator: CheckpointCoordinator
  readonly operations: Operations
  readonly recoveries: Recoveries
  #state: JobState = 'Created'
  #stateSince: number
  #why = 'this JobManager leads'
  #error: ErrorData | undefined
  #exceptions: ExceptionView[] = []
  #attempt: Attempt | undefined
  #restarts = 0
  #history: FailureHistory = noFailures
  #restoredFrom: string | undefined
  #timer: Timer | undefined
  /** While a new leader looks for running tasks: what TaskManagers have reported. */
  #adoptable: Map<RegisteredTaskManager, ExecutionReport | undefined> | undefined
  #moving: { readonly attempt: Attempt; readonly cause: string } | undefined
  #closed = false

  constructor(options: JobMasterOptions) {
    this.#options = options
    const { clock, random, logger, store, log, config } = options
    this.#stateSince = clock.now()
    this.recoveries = new Recoveries(clock)
    this.operations = new Operations(clock, () => options.onChange())
    this.coordinator = new CheckpointCoordinator({
      clock,
      random,
      logger,
      store,
      log,
      job: config.job,
      options: config.checkpoint,
      send: {
        trigger: (attempt, barrier) =>
          this.#toAttempt(attempt, { type: 'trigger', epoch: options.epoch, attempt, barrier }),
        complete: (attempt, permit) =>
          this.#toAttempt(attempt, { type: 'complete', epoch: options.epoch, attempt, permit }),
        abort: (attempt, checkpointId) =>
          this.#toAttempt(attempt, { type: 'abort', epoch: options.epoch, attempt, checkpointId }),
      },
      openSavepointStore: (url) => openStoreAt(url, options.s3),
      onFailureLimit: (error) => this.#onFailure(error, undefined, undefined, false),
      onFenced: (error) => this.#fenced(error),
      onChange: () => options.onChange(),
    })
  }

  get state(): JobState {
    return this.#state
  }
  get stateSince(): number {
    return this.#stateSince
  }
  /** In words, why the state is what it is. */
  get why(): string {
    return this.#why
  }
  get error(): ErrorData | undefined {
    return this.#error
  }
  get restarts(): number {
    return this.#restarts
  }
  get attempt(): string | undefined {
    return this.#attempt?.id
  }
  get places(): readonly SubtaskPlace[] {
    return this.#attempt?.places ?? []
  }
  get finishedSubtasks(): ReadonlySet<string> {
    return this.#attempt?.finished ?? new Set()
  }
  get restoredFrom(): string | undefined {
    return this.#restoredFrom
  }
  get exceptions(): readonly ExceptionView[] {
    return this.#exceptions
  }

  start(): void {
    const previous = this.#options.log.state.deploy
    if (previous !== undefined && previous.run === this.#options.config.run)
      this.recoveries.begin(`JobManager replaced; epoch ${this.#options.epoch}`, 0, this.#options.electMs)
    this.#to('WaitingForSlots', 'looking for running tasks')
    this.#adoptable = new Map()
    this.#timer = this.#options.clock.after(ADOPT_LIMIT_MS, () => this.#adoptOrDeploy(true))
    this.#options.registry.lead(this.#options.epoch, this)
    this.#adoptOrDeploy(false)
  }

  /** Leadership or process ends; running tasks are left alone for the next leader. */
  close(): void {
    this.#closed = true
    this.#timer?.cancel()
    this.#options.registry.standBy()
    this.coordinator.close()
  }

  registered(): void {
    this.#options.onChange()
    this.#move(false)
    this.#deployIfPossible()
  }

  lost(taskManager: RegisteredTaskManager, why: string): void {
    this.#options.onChange()
    if (this.#attempt?.uses(taskManager) !== true) return
    this.#onFailure(
      new WeirError('NET_LOST', `TaskManager ${taskManager.id} was lost: ${why}`),
      undefined,
      taskManager.id,
      true,
    )
  }

  checkpoint(triggerId: string): OperationView {
    return this.operations.start(triggerId, 'checkpoint', async () =>
      this.#completed(await this.coordinator.request({ triggerId, type: 'checkpoint' })),
    )
  }

  savepoint(triggerId: string, path: string | undefined): OperationView {
    return this.operations.start(triggerId, 'savepoint', async () =>
      this.#completed(
        await this.coordinator.request({
          triggerId,
          type: 'savepoint',
          ...(path === undefined ? {} : { path }),
        }),
      ),
    )
  }

  /**
   * Stops the run with a last checkpoint or savepoint; closed when the operation completes. A
   * failed one leaves the job running.
   */
  stop(
    triggerId: string,
    mode: 'checkpoint' | 'savepoint',
    path: string | undefined,
    drain: boolean,
  ): OperationView {
    return this.operations.start(triggerId, 'stop', async () => {
      if (isFinal(this.#state)) return {}
      if (this.#state !== 'Running') return this.#stopIdle()
      this.#to('Stopping', `stopping with a ${mode}`)
      const attempt = this.#attempt
      try {
        const done = await this.coordinator.request({
          triggerId,
          type: 'stop',
          mode,
          drain,
          ...(path === undefined ? {} : { path }),
        })
        await attempt?.committed(done.id, this.#options.clock)
        await this.#end(drain ? 'Drained' : 'Suspended', `stopped with ${mode} ${done.id}`)
        return this.#completed(done)
      } catch (error) {
        if ((this.#state as JobState) === 'Stopping' && this.#attempt === attempt)
          this.#onFailure(error, undefined, undefined, false)
        throw error
      }
    })
  }

  message(taskManager: RegisteredTaskManager, message: FromTaskManager): void {
    if (message.type === 'fenced') return this.#fencedBy(message.epoch)
    if (message.type === 'execution') return this.#reported(taskManager, message.report)
    if (message.type === 'leaving') return this.#leaving(taskManager, message.why)
    if (message.type === 'heartbeat') return this.#cancelStray(taskManager, message.attempt)
    const attempt = this.#attempt
    if (attempt === undefined) return
    if (message.type === 'ack') return this.coordinator.onAck(message.ack)
    if (message.type === 'decline') return this.coordinator.onDecline(message.decline)
    if (!('attempt' in message) || message.attempt !== attempt.id) return
    switch (message.type) {
      case 'deployed':
        if (attempt.deployed(taskManager) && !attempt.isStarted) this.#start(attempt)
        return
      case 'deployFailed':
        return this.#onFailure(fromErrorData(message.error), undefined, taskManager.id, false)
      case 'failed':
        return this.#onFailure(fromErrorData(message.error), message.subtask, taskManager.id, false)
      case 'firstRecord':
        this.recoveries.firstRecord()
        return this.#options.onChange()
      case 'finished':
        if (attempt.subtaskFinished(message.subtask) && this.#state === 'Running') this.#finish(attempt)
        return
      case 'committed':
        return attempt.subtaskCommitted(message.subtask, message.checkpointId)
    }
  }

  /**
   * A TaskManager that was away (stopped, partitioned) may come back with tasks of an attempt that
   * is over. They can do no harm; they only waste its slots.
   */
  #cancelStray(taskManager: RegisteredTaskManager, attempt: string | undefined): void {
    if (attempt === undefined || attempt === this.#attempt?.id || this.#adoptable !== undefined) return
    taskManager.send({
      type: 'cancel',
      epoch: this.#options.epoch,
      attempt,
      why: `attempt ${this.#attempt?.id ?? 'none'} is current`,
    })
  }

  #reported(taskManager: RegisteredTaskManager, report: ExecutionReport | undefined): void {
    this.#adoptable?.set(taskManager, report)
    this.#adoptOrDeploy(false)
  }

  /**
   * Goes on with what runs where that is exactly what was deployed last; else deploys, at the
   * latest when the limit has passed.
   */
  #adoptOrDeploy(limitPassed: boolean): void {
    const adoptable = this.#adoptable
    if (adoptable === undefined || this.#closed) return
    const { planned, config, log, registry, logger } = this.#options
    const answers = registry.list.flatMap((t) =>
      adoptable.has(t) ? [{ slots: t.slots, report: adoptable.get(t) }] : [],
    )
    const { deploy } = log.state
    const decision = decideAdoption({
      plan: planned.plan,
      run: config.run,
      deploy,
      expectedSlots: config.expectedSlots,
      answers,
    })
    if (decision.kind === 'wait' && !limitPassed) return
    this.#adoptable = undefined
    this.#timer?.cancel()
    if (decision.kind === 'adopt') return this.#adopt(decision)
    logger.info(
      { why: decision.kind === 'deploy' ? decision.why : 'not every TaskManager answered in time' },
      'deploying instead of adopting',
    )
    this.#why = 'waiting for TaskManagers'
    this.#deployIfPossible()
  }

  #adopt({ attempt: id, places, highestCheckpointId }: Extract<AdoptionDecision, { kind: 'adopt' }>): void {
    const { registry, epoch, log, store, planned } = this.#options
    const attempt = new Attempt(id, places, registry.list)
    this.#attempt = attempt
    attempt.isStarted = true
    const from = log.state.deploy?.restoreFrom
    this.#restoredFrom =
      from?.kind === 'checkpoint'
        ? keyUrl(store.url, from.manifest)
        : from?.kind === 'savepoint'
          ? from.path
          : undefined
    this.#to('Deploying', `adopting attempt ${id}`)
    this.#to('Running', `running; attempt ${id} goes on under epoch ${epoch}`)
    attempt.send({ type: 'adopt', epoch, attempt: id })
    this.coordinator.start({ ...attemptPlan(id, planned.plan), highestId: highestCheckpointId })
    this.recoveries.running()
    this.recoveries.firstRecord()
  }

  #deployIfPossible(): void {
    if (this.#state !== 'WaitingForSlots' || this.#closed || this.#adoptable !== undefined) return
    const wanted = slotsWanted(this.#options.planned.plan)
    const available = this.#available()
    const places = this.#findPlaces()
    if (places === undefined) {
      const have = available.reduce((sum, t) => sum + t.slots, 0)
      this.#why = `waiting for slots: ${wanted} wanted, ${have} registered by ${available.length} TaskManager(s)`
      return this.#options.onChange()
    }
    this.#to('Deploying', 'deploying')
    const deploying = this.#deploy(places, available)
    const attempt = this.#attempt
    deploying.catch((error: unknown) => {
      if (this.#attempt === attempt) this.#onFailure(error, undefined, undefined, false)
    })
  }

  #available(): readonly RegisteredTaskManager[] {
    return this.#options.registry.list.filter((t) => !t.leaving)
  }

  #findPlaces(): readonly SubtaskPlace[] | undefined {
    return assignSlots(
      this.#options.planned.plan,
      this.#available().map((t) => ({ taskManager: t.id, slots: t.slots })),
    )
  }

  async #deploy(places: readonly SubtaskPlace[], available: readonly RegisteredTaskManager[]): Promise<void> {
    const { log, epoch, config, planned, clock, store, s3 } = this.#options
    const attempt = new Attempt(nextAttempt(log.state, epoch), places, available)
    this.#attempt = attempt
    const restore = restorePointOf(log.state, config.run, config.restore)
    const restoredFrom = await verifyRestorePoint(
      restore,
      { store, s3 },
      planned.plan,
      config.restore?.allowNonRestoredState ?? false,
    )
    if (this.#attempt !== attempt) return
    this.#restoredFrom = restoredFrom
    this.recoveries.deploying(restore.kind === 'checkpoint' ? restore.id : undefined)
    await log.append({
      kind: 'DEPLOY',
      attempt: attempt.id,
      run: config.run,
      planHash: planned.plan.hash,
      restoreFrom: restore,
      why: this.#why,
    })
    if (this.#attempt !== attempt) return
    const deployment: Deployment = {
      attempt: attempt.id,
      planHash: planned.plan.hash,
      plan: planned.plan,
      parallelism: planned.parallelism,
      module: planned.module,
      places,
      dataAddresses: attempt.dataAddresses,
      restore,
    }
    this.#toAttempt(attempt.id, { type: 'deploy', epoch, deployment })
    this.#timer = clock.after(DEPLOY_LIMIT_MS, () => {
      this.#onFailure(
        new WeirError(
          'DEADLINE',
          `Deployment ${attempt.id} was not ready within ${DEPLOY_LIMIT_MS} ms on ${attempt.notDeployed.join(', ')}`,
        ),
        undefined,
        undefined,
        false,
      )
    })
  }

  #start(attempt: Attempt): void {
    attempt.isStarted = true
    this.#timer?.cancel()
    this.#error = undefined
    this.#to(
      'Running',
      this.#restoredFrom === undefined
        ? 'running, started empty'
        : `running, restored from ${this.#restoredFrom}`,
    )
    this.recoveries.running()
    this.coordinator.start(attemptPlan(attempt.id, this.#options.planned.plan))
    this.#toAttempt(attempt.id, { type: 'start', epoch: this.#options.epoch, attempt: attempt.id })
  }

  /** Every subtask has seen the end of its data: one last checkpoint, its commits, the end. */
  #finish(attempt: Attempt): void {
    this.#to('Stopping', 'end of data: last checkpoint')
    const finish = async () => {
      const id = await this.#finalCheckpoint(attempt, 1)
      await attempt.committed(id, this.#options.clock)
      await this.#end('Finished', `finished; everything is committed with checkpoint ${id}`)
    }
    finish().catch((error: unknown) => {
      if (this.#attempt === attempt) this.#onFailure(error, undefined, undefined, false)
    })
  }

  async #finalCheckpoint(attempt: Attempt, tries: number): Promise<number> {
    try {
      const done = await this.coordinator.request({
        triggerId: `final-${attempt.id}-${tries}`,
        type: 'checkpoint',
        final: true,
      })
      return done.id
    } catch (error) {
      const again =
        error instanceof WeirError &&
        error.retry === 'backoff' &&
        tries < FINAL_CHECKPOINT_TRIES &&
        this.#attempt === attempt &&
        this.#state === 'Stopping'
      if (!again) throw error
      return this.#finalCheckpoint(attempt, tries + 1)
    }
  }

  /** Stop of a job that runs nothing at the moment: what the log has is what there is. */
  async #stopIdle(): Promise<Partial<OperationView>> {
    const { lastCheckpoint } = this.#options.log.state
    await this.#end(
      'Suspended',
      lastCheckpoint === undefined
        ? 'stopped before its first checkpoint'
        : `stopped while not running; checkpoint ${lastCheckpoint.id} is the newest`,
    )
    return lastCheckpoint === undefined
      ? {}
      : {
          checkpointId: lastCheckpoint.id,
          path: lastCheckpoint.manifest,
          sizeBytes: lastCheckpoint.sizeBytes,
        }
  }

  #completed({ id, path, sizeBytes, maxParallelism }: CheckpointResult): Partial<OperationView> {
    return { checkpointId: id, path, sizeBytes, maxParallelism, formatVersion: FORMAT_VERSION }
  }

  async #end(status: LogRecordOf<'CLOSE'>['status'] & JobState, message: string): Promise<void> {
    const { log, config } = this.#options
    this.#timer?.cancel()
    await this.coordinator.stop('COORDINATOR_SHUTDOWN')
    await log.append({ kind: 'CLOSE', run: config.run, status })
    this.#cancelAttempt(message)
    this.#to(status, message)
  }

  #onFailure(
    error: unknown,
    subtask: SubtaskRef | undefined,
    taskManager: string | undefined,
    processLost: boolean,
  ): void {
    if (this.#closed || isFinal(this.#state) || this.#state === 'Restarting') return
    if (error instanceof WeirError && error.code === 'FENCED') return this.#fenced(error)
    const { config, clock, random, logger } = this.#options
    const data = toErrorData(error)
    this.#error = data
    this.#exceptions = [
      {
        at: clock.now(),
        attempt: this.attempt,
        vertex: subtask?.vertex,
        subtask: subtask?.subtask,
        taskManager,
        error: data,
      },
      ...this.#exceptions,
    ].slice(0, EXCEPTIONS_KEPT)
    this.#timer?.cancel()
    this.recoveries.begin(data.message, 0, 0)
    const settled = this.coordinator.stop('TASK_FAILURE')
    this.#cancelAttempt(data.message)
    const { decision, history } = decideRestart(config.restart, this.#history, {
      now: clock.monotonic(),
      processLost,
      random: random(),
    })
    this.#history = history
    if (data.retry === 'never') return this.#fail(data.message, settled)
    if (decision.kind === 'fail') return this.#fail(`${data.message} (${decision.why})`, settled)
    this.#restarts++
    logger.warn({ error: data, delayMs: decision.delayMs, restarts: this.#restarts }, 'job restarts')
    this.#to('Restarting', `restarting: ${data.message}`)
    this.#timer = clock.after(decision.delayMs, () => void this.#restart(settled))
  }

  /**
   * A checkpoint whose record may be in the log already must be settled before the restore point is
   * chosen.
   */
  async #restart(settled: Promise<void>): Promise<void> {
    await settled
    if (this.#closed || this.#state !== 'Restarting') return
    this.#to('WaitingForSlots', 'waiting for TaskManagers')
    this.#deployIfPossible()
  }

  #fail(message: string, settled: Promise<void>): void {
    const { log, config, logger } = this.#options
    this.#to('Failed', message)
    settled
      .then(() => log.append({ kind: 'CLOSE', run: config.run, status: 'Failed' }))
      .catch((error: unknown) => logger.error({ err: error }, 'cannot close the failed run in the log'))
  }

  #cancelAttempt(why: string): void {
    const attempt = this.#attempt
    if (attempt === undefined) return
    this.#toAttempt(attempt.id, { type: 'cancel', epoch: this.#options.epoch, attempt: attempt.id, why })
    this.#attempt = undefined
    this.#moving = undefined
    attempt.end(why)
  }

  /**
   * A TaskManager shuts down in an orderly way. The job runs on until the others (perhaps its
   * replacement) have slots for it, or the limit passes; then a last checkpoint is taken and the
   * job moves, so that next to nothing is replayed.
   */
  #leaving(taskManager: RegisteredTaskManager, why: string): void {
    const attempt = this.#attempt
    this.#options.logger.info({ taskManager: taskManager.id, why }, 'task manager leaves')
    if (attempt?.uses(taskManager) !== true || this.#state !== 'Running') return
    this.#moving = { attempt, cause: `TaskManager ${taskManager.id} leaves: ${why}` }
    this.#timer = this.#options.clock.after(HAND_OVER_LIMIT_MS, () => this.#move(true))
    this.#move(false)
  }

  #move(atOnce: boolean): void {
    const moving = this.#moving
    if (moving === undefined || (!atOnce && this.#findPlaces() === undefined)) return
    this.#moving = undefined
    this.#timer?.cancel()
    const { attempt, cause } = moving
    const leave = () => {
      if (this.#attempt === attempt && this.#state === 'Running')
        this.#onFailure(new WeirError('NET_LOST', cause), undefined, undefined, true)
    }
    this.coordinator.request({ triggerId: `move-${attempt.id}`, type: 'checkpoint' }).then(leave, leave)
  }

  #toAttempt(attemptId: string, message: FromJobManager): void {
    if (this.#attempt?.id === attemptId) this.#attempt.send(message)
  }

  #fencedBy(epoch: number): void {
    if (epoch > this.#options.epoch)
      this.#fenced(
        new WeirError(
          'FENCED',
          `A TaskManager has seen epoch ${epoch}; this leader's is ${this.#options.epoch}`,
        ),
      )
  }

  #fenced(error: WeirError): void {
    if (this.#closed) return
    this.close()
    this.#options.onFenced(error)
  }

  #to(state: JobState, message: string): void {
    if (this.#state !== state) assertTransition(this.#state, state)
    this.#options.logger.info({ from: this.#state, state, why: message }, 'job state')
    this.#state = state
    this.#stateSince = this.#options.clock.now()
    this.#why = message
    this.#options.onChange()
  }
}

const attemptPlan = (attempt: string, plan: ExecutionPlan) => ({
  attempt,
  planHash: plan.hash,
  maxParallelism: plan.maxParallelism,
  vertices: plan.vertices.map((v) => ({
    id: v.id,
    uids: v.operators.map((o) => o.uid),
    parallelism: v.parallelism,
  })),
})
