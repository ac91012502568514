import type { Clock, Timer } from '#runtime/base/clock'
import { messageOf, WeirError } from '#runtime/base/errors'
import { silentLogger } from '#runtime/base/logger'
import { CommitLog } from '#runtime/commit-log/commit-log'
import { CheckpointCoordinator } from '#runtime/checkpoint/coordinator'
import { nextAttempt } from '#runtime/commit-log/log-state'
import type { LogBody, RestorePoint } from '#runtime/contract/checkpoint-records'
import { CHECKPOINTS, JOB, JOB_VERTICES, PLAN } from './job.ts'
import type { FromJobManager, FromTaskManager, TaskManagerReport } from './messages.ts'
import { mutantLog } from './mutant-log.ts'
import type { SimStore } from './sim-store.ts'
import type { Surroundings } from './surroundings.ts'
import type { SimNode } from './world.ts'

const ADOPT_MS = 120
const DEPLOY_LIMIT_MS = 1500
/** Longer than any request is under way. */
const COMPACTION_GRACE_MS = 1600

type Phase = 'opening' | 'asking' | 'waiting' | 'deploying' | 'running' | 'stopping' | 'over'

/**
 * One term of leadership: opens the epoch, adopts the running attempt or deploys a new one, and
 * restarts it when something fails. The decisions of the product's JobManager that the protocol's
 * safety depends on, in their order; the coordinator and the log are the product's own.
 */
export class SimLeadership {
  readonly #around: Surroundings
  readonly #node: SimNode
  readonly #store: SimStore
  readonly #clock: Clock
  readonly #onOver: () => void
  readonly #reports = new Map<SimNode, TaskManagerReport>()
  readonly #deployed = new Set<SimNode>()
  readonly #finished = new Set<number>()
  readonly #committed = new Map<number, number>()
  #log!: CommitLog
  #coordinator: CheckpointCoordinator | undefined
  #phase: Phase = 'opening'
  #attempt = ''
  #places: Record<string, string> = {}
  #timer: Timer | undefined
  #finals = 0
  #finalId: number | undefined
  #stale: RestorePoint | undefined
  #lastFailure: unknown

  constructor(around: Surroundings, node: SimNode, store: SimStore, onOver: () => void) {
    this.#around = around
    this.#node = node
    this.#store = store
    this.#clock = node.clock()
    this.#onOver = onOver
  }

  async open(floor: number, taskManagers: ReadonlySet<SimNode>): Promise<void> {
    const { world } = this.#around
    try {
      this.#log = await CommitLog.open({
        store: this.#store,
        clock: this.#clock,
        random: world.random.next,
        logger: silentLogger,
      })
      await this.#log.ensureOwner(JOB)
      if (world.is('skip-epoch-open')) this.#stale = this.#log.state.restorePoint
      await this.#log.openEpoch({ run: 1, leader: this.#node.name, floor })
    } catch (error) {
      return this.#over(messageOf(error))
    }
    if (this.#phase === 'over') return
    world.trace(`${this.#node.name} leads epoch ${this.#log.epoch}`)
    this.#coordinator = this.#createCoordinator()
    this.#phase = 'asking'
    // What its subtasks say while the others have not answered yet counts as well.
    this.#attempt = this.#log.state.deploy?.attempt ?? ''
    for (const peer of taskManagers) this.#send(peer, { type: 'lead', epoch: this.#log.epoch })
    this.#timer = this.#clock.after(ADOPT_MS, () => this.#deployLater())
  }

  close(): void {
    this.#phase = 'over'
    this.#timer?.cancel()
    this.#coordinator?.close()
  }

  onConnected(peer: SimNode): void {
    if (this.#phase !== 'opening' && this.#phase !== 'over')
      this.#send(peer, { type: 'lead', epoch: this.#log.epoch })
  }

  onLost(peer: SimNode): void {
    this.#reports.delete(peer)
    if (Object.values(this.#places).includes(peer.name)) this.#fail(`connection to ${peer.name} lost`)
  }

  onMessage(peer: SimNode, message: FromTaskManager): void {
    if (this.#phase === 'opening' || this.#phase === 'over') return
    if (message.type === 'report') return this.#onReport(peer, message)
    if (message.type === 'fenced')
      return message.epoch > this.#log.epoch ? this.#over('fenced by a TaskManager') : undefined
    if (message.type === 'ack') return this.#coordinator?.onAck(message.ack)
    if (message.type === 'decline') return this.#coordinator?.onDecline(message.decline)
    if (message.attempt !== this.#attempt) return
    switch (message.type) {
      case 'deployed':
        this.#deployed.add(peer)
        return this.#maybeStart()
      case 'failed':
        this.#onFailed(peer)
        return this.#fail(message.why)
      case 'finished':
        this.#finished.add(message.source)
        return this.#maybeFinish()
      case 'committed':
        this.#committed.set(message.sink, message.id)
        return void this.#maybeClose()
    }
  }

  savepoint(triggerId: string): void {
    this.#coordinator?.request({ triggerId, type: 'savepoint' }).catch(() => undefined)
  }

  #createCoordinator(): CheckpointCoordinator {
    const { world, oracle } = this.#around
    const { epoch } = this.#log
    const toAll = (message: FromJobManager) => {
      for (const place of new Set(Object.values(this.#places))) this.#send(this.#around.node(place), message)
    }
    const send = {
      trigger: (attempt: string, barrier: Extract<FromJobManager, { type: 'trigger' }>['barrier']) =>
        toAll({ type: 'trigger', epoch, attempt, barrier }),
      complete: (attempt: string, permit: Extract<FromJobManager, { type: 'complete' }>['permit']) =>
        toAll({ type: 'complete', epoch, attempt, permit }),
      abort: (attempt: string, id: number) => {
        oracle.onAborted(epoch, id)
        toAll({ type: 'abort', epoch, attempt, id })
      },
    }
    return new CheckpointCoordinator({
      clock: this.#clock,
      random: world.random.next,
      logger: silentLogger,
      store: this.#store,
      log: mutantLog(this.#log, world, this.#clock, send),
      job: JOB,
      options: CHECKPOINTS,
      deleteGraceMs: 100,
      send,
      onFailureLimit: (error) => this.#fail(error.message),
      onFenced: (error) => this.#over(error.message),
      onChange: () => {
        if (this.#coordinator?.phase === 'COMPLETED' && world.random.chance(0.05))
          void this.#log.compact({ graceMs: COMPACTION_GRACE_MS }).catch(() => undefined)
        const failure = this.#coordinator?.lastFailure
        if (failure === undefined || failure === this.#lastFailure) return
        this.#lastFailure = failure
        world.trace(`${this.#node.name} checkpoint ${failure.id} ${failure.reason}`)
        oracle.onFailure(failure.reason, failure.message)
      },
    })
  }

  #onReport(peer: SimNode, report: TaskManagerReport): void {
    this.#reports.set(peer, report)
    if (this.#phase === 'asking') return this.#maybeAdopt()
    const isPart = Object.values(this.#places).includes(peer.name)
    if (isPart && report.epoch === 0 && (report.attempt !== this.#attempt || !report.running))
      this.#fail(`${peer.name} lost attempt ${this.#attempt}`)
    this.#deployIfPossible()
  }

  /** Not to be adopted any more. */
  #onFailed(peer: SimNode): void {
    const report = this.#reports.get(peer)
    if (report !== undefined) this.#reports.set(peer, { ...report, running: false })
  }

  /** Every TaskManager runs the last deployed attempt: it goes on under this epoch. */
  #maybeAdopt(): void {
    const { deploy } = this.#log.state
    const all = this.#around.taskManagers
    const reports = all.map((node) => this.#reports.get(node))
    if (
      deploy === undefined ||
      !reports.every((r) => r?.epoch === this.#log.epoch && r.running && r.attempt === deploy.attempt)
    )
      return
    const { world } = this.#around
    world.trace(`${this.#node.name} adopts attempt ${deploy.attempt}`)
    this.#timer?.cancel()
    this.#around.adoptions++
    this.#places = this.#around.places
    this.#phase = 'running'
    const deaf = world.is('ignore-adopted-ids') || world.is('barrier-by-id-alone')
    const highestId = deaf ? 0 : Math.max(...reports.map((r) => r?.highestId ?? 0))
    this.#coordinator?.start({ ...PLAN, attempt: deploy.attempt, highestId })
    for (const source of reports.flatMap((r) => r?.finished ?? [])) this.#finished.add(source)
    this.#maybeFinish()
  }

  #begin(attempt: string): void {
    this.#attempt = attempt
    this.#places = this.#around.places
    this.#deployed.clear()
    this.#finished.clear()
    this.#committed.clear()
    this.#finalId = undefined
  }

  #fail(why: string): void {
    if (this.#phase !== 'deploying' && this.#phase !== 'running') return
    const { world } = this.#around
    world.trace(`${this.#node.name} attempt ${this.#attempt} failed: ${why}`)
    this.#phase = 'stopping'
    this.#timer?.cancel()
    if (world.is('restore-before-settled')) this.#stale = this.#log.state.restorePoint
    void this.#coordinator?.stop('TASK_FAILURE').then(() => this.#deployLater())
  }

  #deployLater(): void {
    if (this.#phase === 'over') return
    this.#phase = 'waiting'
    this.#places = {}
    this.#timer = this.#clock.after(20, () => this.#deployIfPossible())
  }

  #deployIfPossible(): void {
    if (this.#phase !== 'waiting' || !this.#around.taskManagers.every((node) => this.#reports.has(node)))
      return
    this.#phase = 'deploying'
    this.#begin(nextAttempt(this.#log.state, this.#log.epoch))
    void this.#deploy(this.#attempt)
  }

  async #deploy(attempt: string): Promise<void> {
    const restoreFrom = this.#stale ?? this.#log.state.restorePoint
    this.#stale = undefined
    if (
      !(await this.#append({
        kind: 'DEPLOY',
        attempt,
        run: 1,
        planHash: PLAN.planHash,
        restoreFrom,
        why: 'simulated',
      }))
    )
      return
    if (this.#attempt !== attempt || this.#phase !== 'deploying') return
    const { epoch } = this.#log
    for (const node of this.#around.taskManagers)
      this.#send(node, { type: 'deploy', epoch, attempt, places: this.#places, restore: restoreFrom })
    this.#timer = this.#clock.after(DEPLOY_LIMIT_MS, () => this.#fail('deployment took too long'))
  }

  #maybeStart(): void {
    if (this.#phase !== 'deploying' || this.#deployed.size < this.#around.taskManagers.length) return
    this.#timer?.cancel()
    this.#phase = 'running'
    const { epoch } = this.#log
    for (const node of this.#around.taskManagers)
      this.#send(node, { type: 'start', epoch, attempt: this.#attempt })
    this.#coordinator?.start({ ...PLAN, attempt: this.#attempt })
  }

  #maybeFinish(): void {
    if (this.#phase !== 'running' || this.#finished.size < JOB_VERTICES[0].parallelism) return
    const attempt = this.#attempt
    const triggerId = `final-${attempt}-${this.#finals++}`
    this.#coordinator?.request({ triggerId, type: 'checkpoint', final: true }).then(
      ({ id }) => {
        if (this.#attempt !== attempt) return
        this.#finalId = id
        void this.#maybeClose()
      },
      () => {
        if (this.#attempt === attempt) this.#clock.after(50, () => this.#maybeFinish())
      },
    )
  }

  /** All sinks have committed the final checkpoint. */
  async #maybeClose(): Promise<void> {
    const id = this.#finalId
    if (
      this.#phase !== 'running' ||
      id === undefined ||
      ![0, 1].every((sink) => (this.#committed.get(sink) ?? 0) >= id)
    )
      return
    this.#phase = 'stopping'
    await this.#coordinator?.stop('COORDINATOR_SHUTDOWN')
    await this.#append({ kind: 'CLOSE', run: 1, status: 'Finished' })
  }

  /** Until it is certain; false when this leadership is over. */
  async #append(body: LogBody): Promise<boolean> {
    for (let sent = false; ; sent = true) {
      try {
        if (!sent) await this.#log.append(body)
        else await this.#log.settle()
        return true
      } catch (error) {
        const isInDoubt = error instanceof WeirError && error.code === 'STO_UNAVAILABLE'
        if (isInDoubt) continue
        this.#over(messageOf(error))
        return false
      }
    }
  }

  #over(why: string): void {
    if (this.#phase === 'over') return
    this.#around.world.trace(`${this.#node.name} leads no more: ${why}`)
    this.#phase = 'over'
    this.#onOver()
  }

  #send(node: SimNode, message: FromJobManager): void {
    this.#around.network.send(this.#node, node, message)
  }
}
