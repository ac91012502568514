/**
 * The shell around the candidate's machine: a process that accepts TaskManagers from the start,
 * prepares the plan and the log, and leads while it is elected. Whatever a person must mend
 * (module, arguments, owner of the storage) is shown as state Failed; the process stays up to show
 * it. What may pass is tried again.
 */
import type { Clock, Timer } from '#runtime/base/clock'
import { invariant, messageOf, toErrorData, WeirError } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import { CommitLog } from '#runtime/commit-log/commit-log'
import { COMPACTION, type CompactionOptions } from '#runtime/commit-log/log-compaction'
import type { Term } from '#runtime/commit-log/term'
import type { JobManagerConfig } from '#runtime/contract/process-config'
import type { JobFacts, SavepointView } from '#runtime/contract/rest'
import type { ExecutionPlan } from '#runtime/contract/job-plan'
import type { Election, ElectionState } from '#runtime/election/lease'
import type { Transport } from '#runtime/net/transport'
import type { Stores } from '#runtime/storage/stores'
import {
  next,
  PREPARING,
  runOver,
  shownCandidate,
  type CandidateEffect,
  type CandidateEvent,
  type CandidateState,
  type CandidateTiming,
} from './candidate-state.ts'
import { EventQueue } from './event-queue.ts'
import { gatherFacts, RecordRates } from './facts.ts'
import type { JobTiming } from './job-event.ts'
import { JobMaster } from './job-master.ts'
import type { PlannedJob } from './plan-job.ts'
import { TaskManagerRegistry, type RegistryTiming } from './task-manager-registry.ts'

export interface JobManagerTiming {
  readonly candidate: CandidateTiming
  readonly job: JobTiming
  readonly registry: RegistryTiming
  readonly compaction: CompactionOptions
  /** From the record that retires files to their deletion. */
  readonly deleteGraceMs: number
}

export interface JobManagerOptions {
  readonly config: JobManagerConfig
  readonly token: string
  readonly stores: Stores
  readonly transport: Transport
  readonly clock: Clock
  readonly random: () => number
  readonly logger: Logger
  readonly timing?: JobManagerTiming
  /** @throws {WeirError} CFG_INVALID */
  openElection(): Election
  /**
   * Evaluates the job's module.
   * @throws {WeirError} CFG_MODULE, CFG_GRAPH, CFG_INVALID, USR_TIMEOUT
   */
  plan(): Promise<PlannedJob>
  /** @throws {WeirError} STO_UNSAFE when the store does not guarantee what the log rests on. */
  probe(): Promise<void>
  /** Something in the facts changed. */
  onChange(): void
}

const RETRY = { initialMs: 200, maxMs: 5000, multiplier: 2, jitter: 0.2 }
const FOLLOW_LIMITS_MS = { least: 2000, most: 30_000 }

export class JobManager {
  readonly registry: TaskManagerRegistry
  readonly #options: JobManagerOptions
  readonly #timing: CandidateTiming
  readonly #rates: RecordRates
  readonly #abort = new AbortController()
  readonly #events = new EventQueue<CandidateEvent>((event) => this.#handle(event))
  #state: CandidateState = PREPARING
  #since: number
  #planned: PlannedJob | undefined
  #log: CommitLog | undefined
  #election: Election | undefined
  #opening: AbortController | undefined
  #term: Term | undefined
  #electMs = 0
  #master: JobMaster | undefined
  #timer: Timer | undefined
  #isFollowing = false
  #closed: Promise<void> | undefined
  #released: Promise<void> = Promise.resolve()

  constructor(options: JobManagerOptions) {
    const { config, token, clock, logger, transport, timing } = options
    const { job, run, id, rpc, checkpoint } = config
    this.#options = options
    this.#since = clock.now()
    const followMs = Math.min(FOLLOW_LIMITS_MS.most, Math.max(FOLLOW_LIMITS_MS.least, checkpoint.intervalMs))
    this.#timing = timing?.candidate ?? { followMs, retry: RETRY }
    this.#rates = new RecordRates(() => clock.monotonic())
    this.registry = new TaskManagerRegistry({
      ...rpc,
      token,
      jobUid: job.uid,
      run,
      id,
      clock,
      logger,
      transport,
      ...(timing === undefined ? {} : { timing: timing.registry }),
    })
  }

  get plan(): ExecutionPlan | undefined {
    return this.#planned?.plan
  }
  /** The job under this process's term; after the run has ended, what there is left to show. */
  get master(): JobMaster | undefined {
    return this.#master
  }
  /** It stands for leadership, or has something to show that a person must see. */
  get isReady(): boolean {
    const { kind } = this.#state.candidate
    return kind === 'Unable' || (kind !== 'Closed' && this.#log !== undefined)
  }
  get savepoints(): SavepointView[] {
    return (this.#log?.state.savepoints ?? []).map(({ id, path, sizeBytes, at, end }) => ({
      id,
      path,
      sizeBytes,
      at,
      stop: end !== undefined,
    }))
  }

  /** Gives the port for TaskManagers. Preparing and campaigning continue in the background. */
  async open(): Promise<number> {
    const port = await this.registry.listen()
    this.#perform({ type: 'prepare' })
    return port
  }

  /**
   * Gives up leadership in an orderly way; running tasks are left to the next leader. Idempotent.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#abort.abort(new WeirError('FENCED', 'the JobManager stops'))
    this.#dispatch({ type: 'Close' })
    await this.#released
    await this.registry.close()
    await this.#options.stores.own.close()
  }

  facts(): JobFacts {
    const { config, stores } = this.#options
    const { job, run, id, expectedSlots, parallelism } = config
    const { candidate, message, error } = this.#state
    return gatherFacts({
      job: { namespace: job.namespace, name: job.name, uid: job.uid },
      run,
      id,
      epoch: this.#term?.epoch ?? 0,
      storagePath: stores.own.url,
      plan: this.#planned?.plan,
      parallelism: parallelism ?? expectedSlots,
      master: this.#master,
      registry: this.registry,
      rates: this.#rates,
      now: this.#options.clock.now(),
      idle: {
        state: shownCandidate(this.#state),
        stateSince: this.#since,
        message,
        error: error === undefined ? undefined : toErrorData(error),
        leader: candidate.kind === 'Standby' ? candidate.leader : undefined,
      },
    })
  }

  #dispatch(event: CandidateEvent): void {
    this.#events.push(event)
  }

  #handle(event: CandidateEvent): void {
    const { clock, random, logger, onChange } = this.#options
    const before = this.#state
    const { state, effects } = next(this.#timing, before, event, random())
    this.#state = state
    if (state.candidate.kind !== before.candidate.kind) {
      this.#since = clock.now()
      const { message, error } = state
      logger.info({ from: before.candidate.kind, to: state.candidate.kind, message, err: error }, 'candidate')
    }
    for (const effect of effects) this.#perform(effect)
    if (state !== before) onChange()
  }

  #perform(effect: CandidateEffect): void {
    switch (effect.type) {
      case 'prepare':
        return void this.#prepare()
      case 'campaign':
        return this.#campaign(effect.campaign)
      case 'endCampaign':
        return this.#endCampaign()
      case 'openEpoch':
        return void this.#openEpoch(effect.campaign, effect.floor)
      case 'lead':
        return this.#lead()
      case 'endTerm':
        return this.#endTerm(effect.why)
      case 'follow':
        return void this.#follow()
      case 'timer':
        return this.#setTimer(effect.delayMs)
    }
  }

  #setTimer(delayMs: number | undefined): void {
    this.#timer?.cancel()
    this.#timer =
      delayMs === undefined
        ? undefined
        : this.#options.clock.after(delayMs, () => this.#dispatch({ type: 'TimeOut' }))
  }

  async #prepare(): Promise<void> {
    const event = await this.#prepared().then(
      (): CandidateEvent => ({ type: 'Prepared', over: this.#runOver() }),
      (error: unknown): CandidateEvent => ({ type: 'PrepareFailed', error: asWeirError(error) }),
    )
    this.#dispatch(event)
  }

  /** Plan, store and log are there, and the log is read to its head. */
  async #prepared(): Promise<void> {
    const { config, stores, clock, random, logger, timing } = this.#options
    const { signal } = this.#abort
    this.#planned ??= await this.#options.plan()
    if (this.#log !== undefined) return void (await this.#log.refresh({ signal }))
    await this.#options.probe()
    const log = await CommitLog.open(
      { store: stores.own, clock, random, logger, compaction: timing?.compaction ?? COMPACTION },
      { signal },
    )
    await log.ensureOwner(config.job, { signal })
    this.#log = log
  }

  #runOver() {
    return this.#log === undefined ? undefined : runOver(this.#log.state, this.#options.config.run)
  }

  #campaign(campaign: number): void {
    const floor = (this.#log?.state.epoch ?? 0) + 1
    try {
      this.#election = this.#options.openElection()
      this.#election.campaign(floor, (state) => this.#elected(campaign, state))
    } catch (error) {
      this.#dispatch({ type: 'CampaignFailed', campaign, error: asWeirError(error) })
    }
  }

  #elected(campaign: number, state: ElectionState): void {
    switch (state.kind) {
      case 'standby':
        return this.#dispatch({ type: 'LeaderSeen', campaign, leader: state.leader })
      case 'leading':
        return this.#dispatch({ type: 'Elected', campaign, floor: state.redisEpoch })
      case 'lost':
        return this.#dispatch({ type: 'LeaseLost', campaign, why: state.why })
    }
  }

  /** The lease is given back, and an epoch that is being opened is not waited for any more. */
  #endCampaign(): void {
    this.#opening?.abort(new WeirError('FENCED', 'the campaign is over'))
    const election = this.#election
    this.#election = undefined
    const closing = election?.close() ?? Promise.resolve()
    const released = closing.catch((error: unknown) =>
      this.#options.logger.warn({ err: error }, 'lease not released; it runs out by itself'),
    )
    this.#released = Promise.all([this.#released, released]).then(() => undefined)
  }

  async #openEpoch(campaign: number, floor: number): Promise<void> {
    const { config, clock } = this.#options
    const opening = new AbortController()
    this.#opening = opening
    const start = clock.monotonic()
    const { run, id: leader } = config
    try {
      const { signal } = opening
      invariant(this.#log !== undefined, 'elected before the log was read')
      const term = await this.#log.openEpoch({ run, leader, floor, signal })
      if (signal.aborted) return void term.end(asWeirError(signal.reason))
      this.#term = term
      this.#electMs = clock.monotonic() - start
      this.#dispatch({ type: 'Opened', campaign })
    } catch (error) {
      if (opening.signal.aborted) return
      this.#dispatch({ type: 'OpenFailed', campaign, error: asWeirError(error), over: this.#runOver() })
    }
  }

  #lead(): void {
    const { config, stores, clock, random, logger, timing, onChange } = this.#options
    const term = this.#term
    const planned = this.#planned
    invariant(term !== undefined && planned !== undefined, 'leads without a term or a plan')
    const master = new JobMaster({
      config,
      planned,
      term,
      electMs: this.#electMs,
      stores,
      registry: this.registry,
      clock,
      random,
      logger: logger.child({ epoch: term.epoch }),
      ...(timing === undefined ? {} : { timing: timing.job, deleteGraceMs: timing.deleteGraceMs }),
      onChange,
      onClosed: (state) => this.#dispatch({ type: 'RunClosed', state }),
      onOver: (error) => {
        if (this.#master === master) this.#dispatch({ type: 'TermOver', error, over: this.#runOver() })
      },
    })
    this.#master = master
    master.start()
  }

  #endTerm(why: string): void {
    const master = this.#master
    this.#master = undefined
    master?.close(new WeirError('FENCED', why))
  }

  async #follow(): Promise<void> {
    if (this.#isFollowing) return
    this.#isFollowing = true
    try {
      await this.#log?.refresh({ signal: this.#abort.signal })
      this.#dispatch({ type: 'Followed', over: this.#runOver() })
    } catch (error) {
      this.#options.logger.debug({ err: error }, 'log not followed, next try later')
    } finally {
      this.#isFollowing = false
    }
  }
}

const asWeirError = (error: unknown): WeirError =>
  error instanceof WeirError ? error : new WeirError('BUG', messageOf(error), { cause: error })
