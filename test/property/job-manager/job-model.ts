/**
 * Everything around the job's machine as a model: TaskManagers, log, coordinator, verification,
 * people and time. It knows what may happen next, hands it to the machine, and checks what the
 * machine does about it.
 */
import { toErrorData, WeirError, type ErrorCode, type ErrorData } from '#runtime/base/errors'
import { emptyLog, foldRecord, type LogState } from '#runtime/commit-log/log-state'
import type { LogBody, RunEnd } from '#runtime/contract/checkpoint-records'
import { restartOptions, type RestoreOptions } from '#runtime/contract/job-options'
import {
  subtaskKey,
  type ExecutionReport,
  type FromJobManager,
  type SubtaskPlace,
} from '#runtime/contract/rpc'
import type { Attempt, Member } from '#runtime/job-manager/attempt'
import type { JobEffect, JobEvent, JobSettings, JobState } from '#runtime/job-manager/job-event'
import { TRANSITIONS, type PhaseKind, type StopRequest } from '#runtime/job-manager/job-phase'
import { begin, next } from '#runtime/job-manager/job-state'
import { planOf } from '#test/kit/job-world'

export interface ModelOptions {
  readonly parallelism: number
  /** What an earlier leader left: nothing, a deployment, its checkpoints, a run that is to end. */
  readonly past: 'nothing' | 'deployed' | 'checkpointed' | 'ending'
  readonly maxAttempts: number | undefined
  readonly restore: RestoreOptions | undefined
}

/** Something that may happen now; the likelier, the greater its weight. */
export interface Action {
  readonly name: string
  readonly weight: number
  run(): void
}

interface Process extends Member {
  runs: ExecutionReport | undefined
  saidDeployed: boolean
  steps: number
}

type EffectOf<T extends JobEffect['type']> = Extract<JobEffect, { type: T }>
type Body = EffectOf<'append'>['body']

const EPOCH = 2
const RUN = 1

const ERRORS = new Map<ErrorCode, ErrorData>()
function error(code: ErrorCode, context: Record<string, unknown> = {}): ErrorData {
  const known = ERRORS.get(code) ?? toErrorData(new WeirError(code, code))
  ERRORS.set(code, known)
  return { ...known, context }
}

export class JobModel {
  readonly settings: JobSettings
  state: JobState
  log: LogState
  readonly edges = new Set<string>()
  readonly violations: string[] = []
  #now = 0
  #names = 0
  #processes: Process[] = []
  #verifying: EffectOf<'verify'>[] = []
  #appending: Body | undefined
  #checkpoints: EffectOf<'takeCheckpoint'>['request'][] = []
  #coordinator: 'idle' | 'started' | 'stopping' = 'idle'
  #isTimerSet = false
  #closeSent = false
  #isClosed = false
  readonly #asked = new Map<string, StopRequest>()
  readonly #answered = new Set<string>()
  readonly #logged = new Set<string>()
  readonly #deployed = new Set<string>()
  /** Greatest id that each subtask of an attempt said that it committed. */
  readonly #committed = new Map<string, number>()
  /** Subtasks of an attempt that have restored their state, once. */
  readonly #restored = new Set<string>()

  constructor({ parallelism, past, maxAttempts, restore }: ModelOptions) {
    this.settings = {
      plan: planOf(parallelism),
      run: RUN,
      epoch: EPOCH,
      expectedSlots: parallelism,
      restart: restartOptions.parse(maxAttempts === undefined ? {} : { maxAttempts }),
      restore,
      timing: {
        adoptMs: 2000,
        noProgressMs: 60_000,
        handOverMs: 8000,
        retry: { initialMs: 500, maxMs: 10_000, multiplier: 2, jitter: 0.2 },
      },
    }
    this.log = emptyLog
    this.#write({ kind: 'OWNER', cluster: 'c', namespace: 'n', name: 'j', uid: 'u' }, 0)
    this.#write({ kind: 'EPOCH_OPEN', epoch: 1, run: RUN, leader: 'a' }, 1)
    if (past !== 'nothing') this.#writePast(past)
    this.#write({ kind: 'EPOCH_OPEN', epoch: EPOCH, run: RUN, leader: 'b' }, EPOCH)
    const { state, effects } = begin(this.settings)
    this.state = state
    for (const effect of effects) this.#perform(effect)
  }

  get phase(): PhaseKind {
    return this.state.phase.kind
  }

  get unanswered(): readonly string[] {
    return [...this.#asked.keys()].filter((id) => !this.#answered.has(id))
  }

  // --- What may happen --------------------------------------------------------------------------

  actions(): Action[] {
    return [
      ...this.#answers(),
      ...this.#fromTaskManagers(),
      ...this.#fromPeople(),
      ...this.#stale(),
      { name: 'TermOver', weight: this.phase === 'Over' ? 0 : 0.1, run: () => this.termOver() },
    ].filter((action) => action.weight > 0)
  }

  /** Everything is answered well, time passes, there are enough TaskManagers. */
  benevolent(): boolean {
    if (this.#appending !== undefined) return this.#did(() => this.#appended())
    if (this.#verifying.length > 0) return this.#did(() => this.#verified())
    if (this.#checkpoints.length > 0) return this.#did(() => this.#completed())
    if (this.#coordinator === 'stopping') return this.#did(() => this.#settled())
    const slots = this.#processes.filter((p) => !p.leaving).reduce((sum, p) => sum + p.slots, 0)
    if (slots < this.settings.plan.vertices[0]!.parallelism)
      return this.#did(() => this.#register(this.settings.plan.vertices[0]!.parallelism))
    const ready = this.#processes.find((p) => p.runs?.state === 'Deploying' && !p.saidDeployed)
    if (ready !== undefined) return this.#did(() => this.#sayDeployed(ready))
    if (this.phase === 'Stopping' && this.#commitAll()) return true
    if (!this.#isTimerSet) return false
    return this.#did(() => this.#timeOut())
  }

  termOver(): void {
    this.apply({ type: 'TermOver', error: new WeirError('FENCED', 'a greater epoch') })
  }

  #did(run: () => void): true {
    run()
    return true
  }

  #answers(): Action[] {
    const actions: Action[] = []
    const add = (name: string, weight: number, run: () => void) => actions.push({ name, weight, run })
    if (this.#appending !== undefined) {
      add('appended', 4, () => this.#appended())
      add('denied', 1, () => this.#refused('STO_DENIED'))
      if (this.#appending.kind === 'DEPLOY') add('refused', 0.3, () => this.#refused('BUG'))
    }
    if (this.#verifying.length > 0) {
      add('verified', 4, () => this.#verified())
      for (const code of ['STO_UNAVAILABLE', 'STO_DENIED'] as const)
        add(`not verified: ${code}`, 0.5, () => this.#notVerified(code))
      add('not restorable', 0.2, () => this.#notVerified('CKP_RESTORE'))
    }
    if (this.#checkpoints.length > 0) {
      if (this.#coordinator !== 'idle') add('checkpoint completed', 3, () => this.#completed())
      add('checkpoint refused', 0.7, () => this.#notCompleted({}))
      add('checkpoint failed', 0.7, () => this.#notCompleted({ checkpointId: this.log.highestId + 1 }))
    }
    if (this.#coordinator === 'stopping') add('settled', 3, () => this.#settled())
    if (this.#coordinator === 'started')
      add('too many failures', 0.3, () => this.apply({ type: 'FailureLimit', error: restartable() }))
    if (this.#isTimerSet) add('time out', 2, () => this.#timeOut())
    return actions
  }

  #fromTaskManagers(): Action[] {
    const actions: Action[] = [
      { name: 'register', weight: this.#processes.length < 4 ? 2 : 0, run: () => this.#register(1) },
    ]
    for (const process of this.#processes) {
      const { key, runs } = process
      const add = (name: string, weight: number, run: () => void) =>
        actions.push({ name: `${key} ${name}`, weight, run })
      add('lost', 0.4, () => this.#lose(process))
      add('leaves', process.leaving ? 0 : 0.2, () => this.#leave(process))
      add('reports', this.phase === 'Looking' ? 4 : 0.5, () => this.#report(process))
      add('beats', 1, () => this.#beat(process))
      add('reconnects with its tasks', 0.3, () => this.#reconnect(process))
      if (runs === undefined) continue
      add('deployed', runs.state === 'Deploying' ? 4 : 0, () => this.#sayDeployed(process))
      add('gave up', 0.2, () => void (process.runs = undefined))
      add('failed', 0.5, () => this.#sayFailed(process, restartable()))
      add('failed for good', 0.05, () => this.#sayFailed(process, error('CKP_COMMIT_LOST')))
      for (const place of runs.places) {
        add('finished', runs.state === 'Running' ? 1 : 0, () => this.#sayFinished(runs, place))
        add('committed', 1, () => this.#sayCommitted(runs, place, this.log.highestId))
        add('committed before', 0.2, () => this.#sayCommitted(runs, place, 0))
      }
    }
    return actions
  }

  #fromPeople(): Action[] {
    const weight = this.#asked.size < 4 ? 0.5 : 0
    const stop = (name: string, how: Omit<StopRequest, 'triggerId'>): Action => ({
      name,
      weight,
      run: () => this.#ask(how),
    })
    return [
      stop('stop', { savepoint: undefined, drain: false }),
      stop('stop with savepoint', { savepoint: { path: undefined }, drain: false }),
      stop('drain', { savepoint: undefined, drain: true }),
    ]
  }

  /** What belongs to another attempt, deployment or request, or to a member that is gone. */
  #stale(): Action[] {
    const event = (of: JobEvent): Action => ({
      name: `stale ${of.type}`,
      weight: 0.1,
      run: () => this.#applyStale(of),
    })
    const [subtask, member, attempt] = [{ vertex: 'v', subtask: 0 }, 'gone#1', '1.99']
    return [
      event({ type: 'Deployed', member, attempt }),
      event({ type: 'TaskFailed', member, attempt, subtask, error: restartable() }),
      event({ type: 'SubtaskFinished', attempt, subtask }),
      event({ type: 'SubtaskCommitted', attempt, subtask, checkpointId: 99 }),
      event({ type: 'Verified', deployment: -1, point: { kind: 'empty' }, url: undefined }),
      event({ type: 'VerifyFailed', deployment: -1, error: error('CKP_RESTORE') }),
      event({ type: 'CheckpointDone', triggerId: 'nobody', id: 99 }),
      event({ type: 'CheckpointFailed', triggerId: 'nobody', error: error('CKP_DECLINED') }),
      event({ type: 'Lost', member, why: 'stale', silentMs: 0 }),
      event({ type: 'Leaving', member, why: 'stale' }),
      event({ type: 'Heartbeat', member, attempt, progress: undefined }),
    ]
  }

  // --- The happenings ---------------------------------------------------------------------------

  #register(slots: number): void {
    const id = `tm-${++this.#names}`
    this.#connect({ id, slots, leaving: false, runs: this.#leftBehind(id), saidDeployed: false, steps: 0 })
  }

  #connect(of: Omit<Process, 'key' | 'dataAddress'>): void {
    const process: Process = { ...of, key: `${of.id}#${++this.#names}`, dataAddress: `${of.id}:1` }
    this.#processes.push(process)
    const { key, id, slots, dataAddress, leaving } = process
    this.apply({ type: 'Registered', member: { key, id, slots, dataAddress, leaving } })
  }

  /** The next subtask of the attempt before that nobody runs yet. */
  #leftBehind(id: string): ExecutionReport | undefined {
    const { deploy, ending, highestId } = this.log
    if (deploy === undefined || deploy.seq > 2 || this.phase !== 'Looking') return undefined
    const taken = this.#processes.flatMap((p) => p.runs?.places ?? []).length
    if (taken >= this.settings.expectedSlots) return undefined
    const places = [{ vertex: 'v', subtask: taken, taskManager: id, slot: 0 }]
    const state = ending === undefined ? 'Running' : 'Stopped'
    return {
      attempt: deploy.attempt,
      planHash: deploy.planHash,
      places,
      state,
      highestCheckpointId: highestId,
    }
  }

  #lose(process: Process): void {
    this.#processes = this.#processes.filter((p) => p !== process)
    this.apply({ type: 'Lost', member: process.key, why: 'its connection closed', silentMs: 5 })
  }

  #reconnect(process: Process): void {
    this.#lose(process)
    const { id, slots, runs, saidDeployed, steps } = process
    this.#connect({ id, slots, leaving: false, runs, saidDeployed, steps })
  }

  #leave(process: Process): void {
    this.#processes = this.#processes.map((p) => (p === process ? { ...p, leaving: true } : p))
    this.apply({ type: 'Leaving', member: process.key, why: 'SIGTERM' })
  }

  #report({ key, runs }: Process): void {
    this.apply({ type: 'Reported', member: key, report: runs })
  }

  #beat(process: Process): void {
    const { key, runs } = process
    const progress =
      runs?.state === 'Deploying' ? { restoredBytes: 0, steps: (process.steps += 1) } : undefined
    this.apply({ type: 'Heartbeat', member: key, attempt: runs?.attempt, progress })
  }

  #sayDeployed(process: Process): void {
    process.saidDeployed = true
    for (const { subtask } of process.runs?.places ?? [])
      this.#restored.add(`${process.runs?.attempt} ${subtask}`)
    this.apply({ type: 'Deployed', member: process.key, attempt: process.runs?.attempt ?? '' })
  }

  #sayFailed({ key, runs }: Process, failure: ErrorData): void {
    const attempt = runs?.attempt ?? ''
    this.apply({ type: 'TaskFailed', member: key, attempt, subtask: undefined, error: failure })
  }

  #sayFinished({ attempt }: ExecutionReport, { vertex, subtask }: SubtaskPlace): void {
    this.apply({ type: 'SubtaskFinished', attempt, subtask: { vertex, subtask } })
  }

  #sayCommitted(
    { attempt }: Pick<ExecutionReport, 'attempt'>,
    { vertex, subtask }: SubtaskPlace,
    checkpointId: number,
  ): void {
    const key = `${attempt} ${subtask}`
    this.#committed.set(key, Math.max(checkpointId, this.#committed.get(key) ?? 0))
    this.apply({ type: 'SubtaskCommitted', attempt, subtask: { vertex, subtask }, checkpointId })
  }

  /** One more subtask of the attempt under way; false when all have committed. */
  #commitAll(): boolean {
    const { phase } = this.state
    if (phase.kind !== 'Stopping' || phase.id === undefined) return false
    const { attempt, id } = phase
    const left = attempt.places.find((p) => (attempt.committed.get(subtaskKey(p)) ?? 0) < id)
    if (left === undefined) return false
    return this.#did(() => this.#sayCommitted({ attempt: attempt.id }, left, id))
  }

  #ask(how: Omit<StopRequest, 'triggerId'>): void {
    const stop: StopRequest = { triggerId: `stop-${this.#asked.size + 1}`, ...how }
    this.#asked.set(stop.triggerId, stop)
    this.apply({ type: 'StopRequested', stop })
  }

  #timeOut(): void {
    this.#isTimerSet = false
    this.#now += 1000
    this.apply({ type: 'TimeOut' })
  }

  #appended(): void {
    const body = this.#appending as Body
    this.#appending = undefined
    this.#write(body, EPOCH)
    if (body.kind === 'DEPLOY') this.#logged.add(body.attempt)
    this.apply({ type: 'Appended', kind: body.kind })
  }

  #refused(code: ErrorCode): void {
    const { kind } = this.#appending as Body
    this.#appending = undefined
    this.apply({ type: 'Refused', kind, error: error(code) })
  }

  #verified(): void {
    const { deployment, choice } = this.#verifying.shift() as EffectOf<'verify'>
    const point =
      choice.kind === 'asked'
        ? ({ kind: 'savepoint', path: choice.path, lineage: 'fork', committedUpTo: 0 } as const)
        : choice
    this.apply({ type: 'Verified', deployment, point, url: point.kind === 'empty' ? undefined : 'file:///x' })
  }

  #notVerified(code: ErrorCode): void {
    const { deployment } = this.#verifying.shift() as EffectOf<'verify'>
    this.apply({ type: 'VerifyFailed', deployment, error: error(code) })
  }

  #completed(): void {
    const request = this.#checkpoints.shift()
    if (request === undefined) return
    const { triggerId, kind, end } = request
    const id = this.log.highestId + 1
    if (this.log.ending === undefined) this.#writeCompleted(kind, id, end)
    this.apply({ type: 'CheckpointDone', triggerId, id })
  }

  #notCompleted(context: Record<string, unknown>): void {
    const request = this.#checkpoints.shift()
    if (request === undefined) return
    const { triggerId } = request
    this.apply({ type: 'CheckpointFailed', triggerId, error: error('CKP_DECLINED', context) })
  }

  /** A coordinator that stops refuses what waits before it says that it has settled. */
  #settled(): void {
    while (this.#checkpoints.length > 0) this.#notCompleted({})
    this.#coordinator = 'idle'
    this.apply({ type: 'Settled' })
  }

  #writePast(past: Exclude<ModelOptions['past'], 'nothing'>): void {
    const restoreFrom = { kind: 'empty' } as const
    const { hash: planHash } = this.settings.plan
    this.#write({ kind: 'DEPLOY', attempt: '1.1', run: RUN, planHash, restoreFrom, why: 'first' }, 1)
    if (past !== 'deployed') this.#writeCompleted('checkpoint', 1, undefined, 1)
    if (past === 'ending') this.#writeCompleted('checkpoint', 2, 'Finished', 1)
  }

  #writeCompleted(
    kind: 'checkpoint' | 'savepoint',
    id: number,
    end: RunEnd | undefined,
    epoch = EPOCH,
  ): void {
    const attempt = this.log.deploy?.attempt ?? '1.1'
    const ending = end === undefined ? {} : { end }
    const [manifest, sha256] = [`chk/${id}/manifest.json`, 'ab'.repeat(32)]
    if (kind === 'savepoint')
      return this.#write(
        {
          kind: 'SAVEPOINT',
          id,
          path: `file:///s/${id}`,
          sha256,
          sizeBytes: 1,
          attempt,
          manifest,
          ...ending,
        },
        epoch,
      )
    const sizes = { sizeBytes: 1, deltaBytes: 1, committedUpTo: id, retires: [], stats: {} }
    this.#write(
      { kind: 'CHECKPOINT', id, epoch, attempt, base: 0, manifest, sha256, ...sizes, ...ending },
      epoch,
    )
  }

  #write(body: LogBody, epoch: number): void {
    this.log = foldRecord(this.log, { v: 1, seq: this.log.head + 1, epoch, at: 1, nonce: 'n', body })
  }

  // --- The machine and what it does -------------------------------------------------------------

  apply(event: JobEvent): void {
    const before = this.state
    const { state, effects } = next(this.settings, before, event, {
      now: this.#now,
      random: 0.5,
      log: this.log,
    })
    this.state = state
    this.#checkEdge(before.phase.kind, state.phase.kind)
    for (const effect of effects) this.#perform(effect)
    this.#checkAnswers()
  }

  #applyStale(event: JobEvent): void {
    const { phase } = this.state
    this.apply(event)
    this.#require(this.state.phase === phase, `${event.type} of something else changed ${phase.kind}`)
  }

  #require(condition: boolean, what: string): void {
    if (!condition) this.violations.push(what)
  }

  /**
   * Stops that were held are asked for again on leaving a phase, so it may pass through others.
   */
  #checkEdge(from: PhaseKind, to: PhaseKind): void {
    if (from === to) return
    this.edges.add(`${from} -> ${to}`)
    if (to === 'Over') return this.#require(from !== 'Closed', 'a closed run went over')
    this.#require(reachable(from, to), `it went from ${from} to ${to}`)
  }

  #checkAnswers(): void {
    const { stops } = this.state
    const holds = this.log.ending !== undefined || !GOING_ON.has(this.phase)
    this.#require(holds || stops.length === 0, `in ${this.phase} ${stops.length} stops wait for nothing`)
    if (this.phase !== 'Closed' && this.phase !== 'Over') return
    this.#require(this.unanswered.length === 0, `in ${this.phase} nobody answered ${this.unanswered.join()}`)
  }

  #perform(effect: JobEffect): void {
    const allowed = this.#allowed()
    this.#require(
      allowed === undefined || allowed.has(labelOf(effect)),
      `${labelOf(effect)} in ${this.phase} after CLOSE`,
    )
    const perform = this.#performers[effect.type] as (effect: JobEffect) => void
    perform(effect)
  }

  /** Undefined: anything. */
  #allowed(): ReadonlySet<string> | undefined {
    if (this.phase === 'Over')
      return this.#isClosed ? new Set(['answerStop']) : new Set(['answerStop', 'timer', 'over'])
    return this.#closeSent
      ? new Set(['send cancel', 'answerStop', 'timer', 'closed', 'over', 'append CLOSE'])
      : undefined
  }

  readonly #performers: { readonly [T in JobEffect['type']]: (effect: EffectOf<T>) => void } = {
    send: ({ members, message }) => this.#deliver(members, message),
    deploy: ({ attempt }) => this.#deploy(attempt),
    verify: (effect) => void this.#verifying.push(effect),
    append: ({ body }) => this.#append(body),
    startCoordinator: () => {
      this.#require(this.#coordinator === 'idle', `the coordinator was started while ${this.#coordinator}`)
      this.#coordinator = 'started'
    },
    stopCoordinator: () => {
      this.#require(this.#coordinator !== 'stopping', 'the coordinator was stopped twice')
      this.#coordinator = 'stopping'
    },
    takeCheckpoint: ({ request }) => {
      this.#require(this.#coordinator === 'started', `a checkpoint was asked for while ${this.#coordinator}`)
      this.#checkpoints.push(request)
    },
    timer: ({ delayMs }) => {
      this.#require(delayMs === undefined || (delayMs >= 0 && delayMs <= 66_000), `a timer of ${delayMs} ms`)
      this.#isTimerSet = delayMs !== undefined
    },
    answerStop: ({ stop: { triggerId }, outcome }) => {
      const isCarriedOut = this.log.ending !== undefined && this.phase !== 'Over' && this.phase !== 'Closed'
      this.#require(
        outcome.kind === 'closed' || !isCarriedOut,
        `${triggerId} failed, and the run ends with it`,
      )
      this.#require(this.#asked.has(triggerId), `${triggerId} was answered and never asked`)
      this.#require(!this.#answered.has(triggerId), `${triggerId} was answered twice`)
      this.#answered.add(triggerId)
    },
    noteFailure: () => undefined,
    closed: () => this.#require(this.log.closed !== undefined, 'closed before CLOSE was in the log'),
    over: () => void (this.#isClosed = true),
  }

  #append(body: Body): void {
    this.#require(this.#appending === undefined, `${body.kind} while ${this.#appending?.kind} is unanswered`)
    this.#appending = body
    if (body.kind === 'CLOSE') this.#checkClose(body)
  }

  #checkClose({ status, committedUpTo }: Extract<Body, { kind: 'CLOSE' }>): void {
    const { ending } = this.log
    this.#closeSent = true
    this.#require(this.#coordinator !== 'stopping', 'CLOSE before the coordinator has settled')
    if (status === 'Failed') return
    if (ending === undefined) this.#require(status === 'Suspended', `closed as ${status} without its record`)
    else {
      this.#require(status === ending.status, `closed as ${status}, to end as ${ending.status}`)
      this.#require(committedUpTo === ending.id, `committed up to ${committedUpTo}, ends with ${ending.id}`)
      this.#require(this.#isCommitted(ending.id), `closed before everything was committed with ${ending.id}`)
    }
  }

  /** Every subtask said so; or has restored it, and sinks commit what they restore. */
  #isCommitted(id: number): boolean {
    const { deploy, lastCheckpoint, savepoints } = this.log
    if (deploy === undefined) return false
    const subtasks = Array.from({ length: this.settings.expectedSlots }, (_, i) => i)
    if (subtasks.every((i) => (this.#committed.get(`${deploy.attempt} ${i}`) ?? 0) >= id)) return true
    const endSeq = Math.max(lastCheckpoint?.seq ?? 0, savepoints.at(-1)?.seq ?? 0)
    return deploy.seq > endSeq && subtasks.every((i) => this.#restored.has(`${deploy.attempt} ${i}`))
  }

  #deploy(attempt: Attempt): void {
    const { id } = attempt
    this.#require(this.#logged.has(id), `attempt ${id} was deployed before its record was in the log`)
    this.#require(!this.#deployed.has(id), `attempt ${id} was deployed twice`)
    this.#deployed.add(id)
    for (const process of this.#processes) {
      if (attempt.members.get(process.id) !== process.key) continue
      const places = attempt.places.filter((p) => p.taskManager === process.id)
      const { hash: planHash } = this.settings.plan
      process.runs = { attempt: id, planHash, places, state: 'Deploying', highestCheckpointId: 0 }
      process.saidDeployed = false
    }
  }

  #deliver(members: readonly string[], message: FromJobManager): void {
    for (const process of this.#processes) {
      const { runs } = process
      if (!members.includes(process.key) || runs === undefined || !('attempt' in message)) continue
      if (message.attempt !== runs.attempt) continue
      if (message.type === 'cancel') process.runs = undefined
      if (message.type !== 'start') continue
      this.#require(process.saidDeployed, `${process.key} was started before it was deployed`)
      process.runs = { ...runs, state: 'Running' }
    }
  }
}

/** Nothing is about to end the run. */
const GOING_ON: ReadonlySet<PhaseKind> = new Set([
  'WaitingForSlots',
  'Deploying',
  'Running',
  'Closed',
  'Over',
])

const MAP_THREW = toErrorData(new WeirError('USR_FAILED', 'map threw'))
const restartable = (): ErrorData => MAP_THREW

const labelOf = (effect: JobEffect): string => {
  if (effect.type === 'send') return `send ${effect.message.type}`
  return effect.type === 'append' ? `append ${effect.body.kind}` : effect.type
}

function reachable(from: PhaseKind, to: PhaseKind): boolean {
  const direct: readonly PhaseKind[] = TRANSITIONS[from]
  return direct.includes(to) || direct.some((via) => (TRANSITIONS[via] as readonly PhaseKind[]).includes(to))
}
