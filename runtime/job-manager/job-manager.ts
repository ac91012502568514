import { rename, writeFile } from 'node:fs/promises'
import { backoffDelay } from '#runtime/base/backoff'
import { sleep, type Clock } from '#runtime/base/clock'
import { WeirError, toErrorData } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import type { JobManagerConfig } from '#runtime/contract/process-config'
import type { JobFacts, JobState, SavepointView } from '#runtime/contract/rest'
import { CommitLog } from '#runtime/commit-log/commit-log'
import type { Election, ElectionState } from '#runtime/election/lease'
import { openElection } from '#runtime/election/open-election'
import type { CheckpointStore } from '#runtime/storage/checkpoint-store'
import { openStore } from '#runtime/storage/open-store'
import { probeStore } from '#runtime/storage/probe'
import { s3AccessOf } from '#runtime/storage/storage-url'
import { gatherFacts, RecordRates } from './facts.ts'
import { JobMaster } from './job-master.ts'
import { JobMetrics } from './metrics.ts'
import { planJob, readModule, type PlannedJob } from './plan-job.ts'
import { RestServer } from './rest-server.ts'
import { TaskManagerRegistry } from './task-manager-registry.ts'

type Idle = Pick<JobFacts, 'state' | 'stateSince' | 'message' | 'error' | 'leader'>

const RETRY = { initialMs: 200, maxMs: 5000, multiplier: 2, jitter: 0.2 }

/**
 * The JobManager process: a candidate that serves REST and accepts TaskManagers from the start,
 * prepares the plan and the log, and leads while it is elected. Whatever a person must mend
 * (module, arguments, storage, owner) is shown by REST as state Failed; the process stays up to
 * show it. What may pass is tried again.
 */
export class JobManager {
  readonly #config: JobManagerConfig
  readonly #clock: Clock
  readonly #random: () => number
  readonly #logger: Logger
  readonly #store: CheckpointStore
  readonly #registry: TaskManagerRegistry
  readonly #rest: RestServer
  readonly #rates: RecordRates
  readonly #abort = new AbortController()
  #idle: Idle
  #planned: PlannedJob | undefined
  #log: CommitLog | undefined
  #election: Election | undefined
  #master: JobMaster | undefined
  #epoch = 0

  constructor(config: JobManagerConfig, token: string, clock: Clock, random: () => number, logger: Logger) {
    this.#config = config
    this.#clock = clock
    this.#random = random
    this.#logger = logger
    this.#store = openStore(config.storage)
    this.#rates = new RecordRates(() => clock.monotonic())
    this.#idle = {
      state: 'Created',
      stateSince: clock.now(),
      message: 'starting',
      error: undefined,
      leader: undefined,
    }
    const { job, run, id, rpc, rest } = config
    this.#registry = new TaskManagerRegistry({ ...rpc, token, jobUid: job.uid, run, id, clock, logger })
    const self = this
    this.#rest = new RestServer({
      ...rest,
      token,
      clock,
      logger,
      source: {
        facts: () => this.facts(),
        get plan() {
          return self.#planned?.plan
        },
        get master() {
          return self.#master
        },
        registry: this.#registry,
        metrics: new JobMetrics({ namespace: job.namespace, name: job.name, uid: job.uid }),
        isReady: () => this.#election !== undefined || this.#idle.state === 'Failed',
        savepoints: () => this.#savepoints(),
      },
    })
  }

  /** Resolves once both servers listen; preparing and campaigning go on behind. */
  async open(): Promise<void> {
    const rpc = await this.#registry.listen()
    const rest = await this.#rest.listen()
    this.#logger.info(
      { id: this.#config.id, run: this.#config.run, rpc, rest, storage: this.#store.url },
      'job manager started',
    )
    await this.#writeReadyFile(rpc, rest)
    void this.#prepare()
  }

  /** Gives up leadership in an orderly way; running tasks are left to the next leader. */
  async close(): Promise<void> {
    if (this.#abort.signal.aborted) return
    this.#abort.abort(new WeirError('FENCED', 'the JobManager stops'))
    this.#master?.close()
    await this.#election?.close()
    await this.#rest.close()
    await this.#registry.close()
    await this.#store.close()
  }

  facts(): JobFacts {
    const { job, run, id, expectedSlots, parallelism } = this.#config
    return gatherFacts({
      job: { namespace: job.namespace, name: job.name, uid: job.uid },
      run,
      id,
      epoch: this.#epoch,
      storagePath: this.#store.url,
      plan: this.#planned?.plan,
      parallelism: parallelism ?? expectedSlots,
      master: this.#master,
      registry: this.#registry,
      rates: this.#rates,
      idle: this.#idle,
    })
  }

  async #prepare(): Promise<void> {
    for (let tries = 1; !this.#abort.signal.aborted; tries++) {
      try {
        return await this.#tryPrepare()
      } catch (error) {
        if (this.#abort.signal.aborted) return
        if (!(error instanceof WeirError) || error.retry !== 'backoff') return this.#failed(error)
        this.#logger.warn({ err: error, tries }, 'not ready to campaign')
        this.#setIdle('Created', error.message, error)
        await sleep(this.#clock, backoffDelay(RETRY, tries, this.#random()), this.#abort.signal).catch(
          () => {},
        )
      }
    }
  }

  async #tryPrepare(): Promise<void> {
    const { module, parallelism, expectedSlots, maxParallelism, job, run } = this.#config
    this.#planned ??= await planJob({
      module: await readModule(module.path, module.args),
      parallelism: parallelism ?? expectedSlots,
      maxParallelism,
    })
    await probeStore(this.#store)
    const log = await CommitLog.open({
      store: this.#store,
      clock: this.#clock,
      random: this.#random,
      logger: this.#logger,
    })
    await log.ensureOwner(job)
    this.#log = log
    const { closed } = log.state
    if (log.state.run === run && closed !== undefined) return this.#over(closed.status)
    this.#setIdle('Created', 'standing by', undefined)
    this.#campaign(log)
  }

  /** An election serves one campaign; after its loss, or a step down, another begins. */
  #campaign(log: CommitLog): void {
    if (this.#abort.signal.aborted) return
    const { redis, job, id } = this.#config
    const election = openElection({ redis, uid: job.uid, id, logger: this.#logger })
    this.#election = election
    election.campaign(log.state.epoch + 1, (state) => {
      if (this.#election === election) this.#elected(log, state)
    })
    this.#rest.changed()
  }

  #elected(log: CommitLog, state: ElectionState): void {
    switch (state.kind) {
      case 'standby':
        return this.#observe(state.leader)
      case 'leading':
        return void this.#lead(log, state.redisEpoch)
      case 'lost':
        this.#lost(state.why)
        return this.#campaign(log)
    }
  }

  async #stepDown(): Promise<void> {
    await this.#election?.close()
    this.#campaign(this.#log as CommitLog)
  }

  async #lead(log: CommitLog, floor: number): Promise<void> {
    const { config, planned } = { config: this.#config, planned: this.#planned as PlannedJob }
    try {
      const start = this.#clock.monotonic()
      this.#epoch = await log.openEpoch({ run: config.run, leader: config.id, floor })
      const master = new JobMaster({
        config,
        planned,
        epoch: this.#epoch,
        electMs: this.#clock.monotonic() - start,
        log,
        store: this.#store,
        s3: s3AccessOf(config),
        registry: this.#registry,
        clock: this.#clock,
        random: this.#random,
        logger: this.#logger.child({ epoch: this.#epoch }),
        onChange: () => this.#rest.changed(),
        onFenced: (error) => this.#fenced(error),
      })
      this.#master = master
      master.start()
    } catch (error) {
      if (this.#abort.signal.aborted) return
      if (error instanceof WeirError && error.code === 'FENCED') return this.#fenced(error)
      if (error instanceof WeirError && error.retry === 'backoff') {
        this.#logger.warn({ err: error }, 'cannot open an epoch; stepping down to try again')
        return void this.#stepDown()
      }
      this.#failed(error)
    }
  }

  /** Leadership is gone: another candidate may lead. */
  #lost(why: string): void {
    this.#logger.warn({ why }, 'leadership lost')
    this.#master?.close()
    this.#master = undefined
    this.#setIdle('Created', `standing by: ${why}`, undefined)
  }

  /** The log shows a newer epoch, or that this run is over. */
  #fenced(error: WeirError): void {
    this.#lost(error.message)
    const { state } = this.#log as CommitLog
    if (state.run > this.#config.run) return this.#setIdle('Suspended', error.message, undefined)
    if (state.run === this.#config.run && state.closed !== undefined) return this.#over(state.closed.status)
    void this.#stepDown()
  }

  /** A run that was closed stays closed; this process shows how it ended. */
  #over(status: string): void {
    const state: JobState = status === 'Canceled' ? 'Suspended' : (status as JobState)
    this.#setIdle(state, `run ${this.#config.run} was closed as ${status}`, undefined)
  }

  #observe(leader: string | undefined): void {
    if (leader === this.#idle.leader) return
    this.#idle = { ...this.#idle, leader }
    this.#rest.changed()
  }

  #failed(error: unknown): void {
    this.#logger.error({ err: error }, 'job cannot run')
    this.#setIdle('Failed', toErrorData(error).message, error)
  }

  #setIdle(state: JobState, message: string, error: unknown): void {
    this.#idle = {
      state,
      stateSince: this.#clock.now(),
      message,
      error: error === undefined ? undefined : toErrorData(error),
      leader: this.#idle.leader,
    }
    this.#rest.changed()
  }

  #savepoints(): SavepointView[] {
    return (this.#log?.state.savepoints ?? []).map(({ id, path, sizeBytes, at, stop }) => ({
      id,
      path,
      sizeBytes,
      at,
      stop,
    }))
  }

  async #writeReadyFile(rpc: number, rest: number): Promise<void> {
    const { readyFile } = this.#config
    if (readyFile === undefined) return
    await writeFile(`${readyFile}.tmp`, JSON.stringify({ rpc, rest }))
    await rename(`${readyFile}.tmp`, readyFile)
  }
}
