/**
 * The life of a job under one term as one pure function: `next(settings, state, event, moment)`.
 * The JobMaster performs the effects; the simulator runs the same.
 *
 * J1 A DEPLOY record is in the log before any deploy command leaves, and what became of the one
 *    before is certain before the next attempt is chosen.
 * J2 Messages of another attempt than the current one change nothing.
 * J3 A run is closed as Finished, Suspended or Drained only after every sink has said that it
 *    committed the last checkpoint, or when nothing runs whose output could be committed.
 * J4 Once Closing, no failure counts: the log decides how the run has ended.
 * J5 A request that is refused changes nothing.
 */
import { toErrorData, WeirError } from '#runtime/base/errors'
import type { RestorePoint } from '#runtime/contract/checkpoint-records'
import { decideAdoption } from './adoption.ts'
import {
  hasFinished,
  newAttempt,
  uncommitted,
  uses,
  withCommitted,
  withFinished,
  type Attempt,
} from './attempt.ts'
import type {
  At,
  JobEffect,
  JobEvent,
  JobEventOf,
  JobEventType,
  JobSettings,
  JobState,
  Moment,
  Transition,
} from './job-event.ts'
import {
  attemptOf,
  type Deploying,
  type Phase,
  type PhaseKind,
  type PhaseOf,
  type Stopping,
  type StopRequest,
  type Waits,
} from './job-phase.ts'
import {
  andThen,
  appendClose,
  cancel,
  close,
  deployOrWait,
  enter,
  fail,
  failureOf,
  failStops,
  findPlaces,
  lost,
  noTimer,
  refuseStop,
  retryDelay,
  stay,
  takeLast,
  timer,
  toAttempt,
} from './job-steps.ts'
import { noFailures } from './restart-strategy.ts'

type Looking = PhaseOf<'Looking'>
type Running = PhaseOf<'Running'>
type Restarting = PhaseOf<'Restarting'>
type Closing = PhaseOf<'Closing'>
type Executing = Deploying | Running | Stopping
type Handlers<P extends Phase> = {
  readonly [E in JobEventType]?: (at: At<P>, event: JobEventOf<E>) => Transition
}

const CERTAIN = { settled: true, logged: true } as const

/** The state that a term begins with, and its timer. */
export function begin(settings: JobSettings): Transition {
  const state: JobState = {
    phase: { kind: 'Looking', answers: new Map() },
    message: 'looking for running tasks',
    members: [],
    failures: noFailures,
    restarts: 0,
    error: undefined,
    restoredFrom: undefined,
    stops: [],
    counter: 0,
  }
  return stay(state, timer(settings.timing.adoptMs))
}

export function next(settings: JobSettings, before: JobState, event: JobEvent, moment: Moment): Transition {
  if (before.phase.kind === 'Over') return stay(before)
  const state = { ...before, members: membersAfter(before, event) }
  const { phase } = state
  const at: At = { settings, moment, state, phase }
  if (event.type === 'TermOver') return enterOver(at, event)
  const handlers = TABLE[phase.kind] as Handlers<Phase>
  const handler = handlers[event.type] as ((at: At, event: JobEvent) => Transition) | undefined
  return handler === undefined ? stay(state) : handler(at, event)
}

function membersAfter({ members }: JobState, event: JobEvent): JobState['members'] {
  switch (event.type) {
    case 'Registered':
      return [...members, event.member]
    case 'Lost':
      return members.filter((m) => m.key !== event.member)
    case 'Leaving':
      return members.map((m) => (m.key === event.member ? { ...m, leaving: true } : m))
    default:
      return members
  }
}

function enterOver({ state }: At, { error }: JobEventOf<'TermOver'>): Transition {
  const over = failStops({ ...state, phase: { kind: 'Over' }, message: error.message }, toErrorData(error))
  return stay(over.state, noTimer, ...over.effects, { type: 'over', error })
}

// --- Looking ------------------------------------------------------------------------------------

function lookOn(at: At<Looking>, answers: Looking['answers'], limitPassed: boolean): Transition {
  const { settings, moment, state } = at
  const { plan, run, expectedSlots, timing } = settings
  const { deploy, ending } = moment.log
  const answered = state.members.flatMap((m) =>
    answers.has(m.key) ? [{ slots: m.slots, report: answers.get(m.key) }] : [],
  )
  const decision = decideAdoption({
    plan,
    run,
    deploy,
    isEnding: ending !== undefined,
    expectedSlots,
    answers: answered,
  })
  if (decision.kind === 'wait' && !limitPassed) return stay({ ...state, phase: { ...at.phase, answers } })
  if (decision.kind !== 'adopt') return resumeStops(at, deployOrWait(at))
  const attempt = newAttempt(decision.attempt, decision.places, state.members)
  const adopt = toAttempt(attempt, { type: 'adopt', epoch: settings.epoch, attempt: attempt.id })
  const message = `attempt ${attempt.id} goes on under epoch ${settings.epoch}`
  if (ending === undefined) {
    const { highestCheckpointId: highestId } = decision
    const start: JobEffect = {
      type: 'startCoordinator',
      attempt: attempt.id,
      isRestored: false,
      highestId,
    }
    const running: Running = { kind: 'Running', attempt, moving: undefined }
    return resumeStops(at, enter(at, running, `running; ${message}`, adopt, start))
  }
  const stopping: Stopping = {
    kind: 'Stopping',
    attempt,
    end: ending.status,
    savepoint: undefined,
    request: undefined,
    id: ending.id,
  }
  const { epoch } = settings
  const permit = { checkpointId: ending.id, epoch }
  const complete = toAttempt(attempt, { type: 'complete', epoch, attempt: attempt.id, permit })
  return enter(at, stopping, `${message} to commit ${ending.id}`, adopt, complete, timer(timing.noProgressMs))
}

/** Stops that were asked for while nobody knew yet what runs. */
function resumeStops(before: At, first: Transition): Transition {
  const held: Transition = { ...first, state: { ...first.state, stops: [] } }
  return first.state.stops.reduce(
    (transition, stop) => andThen(before, transition, (at) => dispatchStop(at, stop)),
    held,
  )
}

function dispatchStop(at: At, stop: StopRequest): Transition {
  return next(at.settings, at.state, { type: 'StopRequested', stop }, at.moment)
}

const LOOKING: Handlers<Looking> = {
  Reported: (at, { member, report }) => lookOn(at, new Map(at.phase.answers).set(member, report), false),
  Lost: (at) => lookOn(at, at.phase.answers, false),
  TimeOut: (at) => lookOn(at, at.phase.answers, true),
  StopRequested: (at, { stop }) => stay({ ...at.state, stops: [...at.state.stops, stop] }),
}

// --- What the executing phases share ------------------------------------------------------------

function onLost(at: At<Executing>, { member, why, silentMs }: JobEventOf<'Lost'>): Transition {
  const { attempt } = at.phase
  if (!uses(attempt, member)) return stay(at.state)
  const id = nameOf(attempt, member)
  return fail(at, lost(`TaskManager ${id} was lost: ${why}`, { taskManager: id, detectMs: silentMs }))
}

function onTaskFailed(at: At<Executing>, event: JobEventOf<'TaskFailed'>): Transition {
  if (event.attempt !== at.phase.attempt.id) return stay(at.state)
  const { error, subtask, member } = event
  const taskManager = nameOf(at.phase.attempt, member)
  return fail(at, failureOf(error, { subtask, taskManager }))
}

/** A TaskManager that was deployed says what it runs: another attempt, or none, is a failure. */
function onRuns(at: At<Executing>, member: string, attempt: string | undefined): Transition {
  const { phase, state } = at
  if (attempt === phase.attempt.id) return stay(state)
  if (!uses(phase.attempt, member)) return cancelStray(at, member, attempt)
  if (phase.kind === 'Deploying' && !phase.deployed.has(member)) return stay(state)
  const id = nameOf(phase.attempt, member)
  const what = attempt === undefined ? 'nothing' : `attempt ${attempt}`
  return fail(
    at,
    lost(`TaskManager ${id} runs ${what} instead of attempt ${phase.attempt.id}`, { taskManager: id }),
  )
}

/**
 * A TaskManager that was away (stopped, partitioned) may come back with tasks of an attempt that is
 * over. They can do no harm; they only waste its slots.
 */
function cancelStray(at: At, member: string, attempt: string | undefined): Transition {
  if (attempt === undefined || attempt === attemptOf(at.phase)?.id) return stay(at.state)
  const why = `attempt ${attemptOf(at.phase)?.id ?? 'none'} is current`
  const message = { type: 'cancel', epoch: at.settings.epoch, attempt, why } as const
  return stay(at.state, { type: 'send', members: [member], message })
}

const nameOf = (attempt: Attempt, member: string): string =>
  [...attempt.members].find(([, key]) => key === member)?.[0] ?? member

const EXECUTING = {
  Lost: onLost,
  TaskFailed: onTaskFailed,
  Heartbeat: (at: At<Executing>, { member, attempt }: JobEventOf<'Heartbeat'>) => onRuns(at, member, attempt),
  Reported: (at: At<Executing>, { member, report }: JobEventOf<'Reported'>) =>
    onRuns(at, member, report?.attempt),
  FailureLimit: (at: At<Executing>, { error }: JobEventOf<'FailureLimit'>) => fail(at, failureOf(error)),
} satisfies Handlers<Executing>

const STRAYS: Handlers<Phase> = {
  Heartbeat: (at, { member, attempt }) => cancelStray(at, member, attempt),
}

/** A stop of a job that runs nothing: what the log has is what there is. */
function stopIdle(at: At, stop: StopRequest, waits: Waits = CERTAIN): Transition {
  const { lastCheckpoint, ending } = at.moment.log
  // The run is ending as it is, or may be: whoever waits is answered when it has ended, or not.
  if (ending !== undefined || !waits.settled) return stay({ ...at.state, stops: [...at.state.stops, stop] })
  if (stop.savepoint !== undefined || stop.drain) return stay(at.state, refuseStop(stop))
  const asked: At = { ...at, state: { ...at.state, stops: [...at.state.stops, stop] } }
  const message =
    lastCheckpoint === undefined
      ? 'stopped before its first checkpoint'
      : `stopped while not running; checkpoint ${lastCheckpoint.id} is the newest`
  const attempt = attemptOf(at.phase)
  const effects = attempt === undefined ? [] : [cancel(at, attempt, message)]
  return close(asked, { status: 'Suspended', message, waits, effects })
}

// --- WaitingForSlots ----------------------------------------------------------------------------

const WAITING: Handlers<PhaseOf<'WaitingForSlots'>> = {
  ...STRAYS,
  Registered: deployOrWait,
  Lost: deployOrWait,
  Leaving: deployOrWait,
  StopRequested: (at, { stop }) => stopIdle(at, stop),
}

// --- Deploying ----------------------------------------------------------------------------------

function appendDeploy(at: At<Deploying>, point: RestorePoint): Transition {
  const { settings, phase, state } = at
  const { attempt } = phase
  const { run, plan } = settings
  const why = state.error?.message ?? 'deploying'
  const record = { attempt: attempt.id, run, planHash: plan.hash, restoreFrom: point, why }
  const next: Deploying = { ...phase, point, step: 'logging' }
  const message = `deploying attempt ${attempt.id}`
  return stay({ ...state, phase: next, message }, { type: 'append', body: { kind: 'DEPLOY', ...record } })
}

function onVerifyFailed(at: At<Deploying>, { deployment, error }: JobEventOf<'VerifyFailed'>): Transition {
  const { phase, state } = at
  if (deployment !== phase.deployment || phase.step !== 'verifying') return stay(state)
  if (error.retry !== 'backoff' && error.code !== 'STO_DENIED') return fail(at, failureOf(error))
  const tries = phase.tries + 1
  const message = `cannot read the restore point, trying again: ${error.message}`
  return stay({ ...state, phase: { ...phase, tries }, message, error }, timer(retryDelay(at, tries)))
}

function onDeployRefused(at: At<Deploying>, { kind, error }: JobEventOf<'Refused'>): Transition {
  const { phase, state } = at
  if (kind !== 'DEPLOY' || phase.step !== 'logging') return stay(state)
  if (error.code !== 'STO_DENIED')
    return fail({ ...at, phase: { ...phase, step: 'refused' } }, failureOf(error))
  const tries = phase.tries + 1
  const message = `cannot write the deployment to the log, trying again: ${error.message}`
  return stay(
    { ...state, phase: { ...phase, step: 'refused', tries }, message, error },
    timer(retryDelay(at, tries)),
  )
}

function onDeployTimeOut(at: At<Deploying>): Transition {
  const { phase, state, settings } = at
  const { deployment, choice, attempt, deployed } = phase
  if (phase.step === 'verifying') return stay(state, { type: 'verify', deployment, choice })
  if (phase.step === 'refused' && phase.point !== undefined) return appendDeploy(at, phase.point)
  if (phase.step === 'logging') return stay(state)
  const missing = [...attempt.members].filter(([, key]) => !deployed.has(key)).map(([id]) => id)
  const limit = settings.timing.noProgressMs
  const text = `Deployment ${attempt.id} made no progress for ${limit} ms; not ready: ${missing.join(', ')}`
  return fail(at, failureOf(toErrorData(new WeirError('DEADLINE', text))))
}

function onDeployHeartbeat(at: At<Deploying>, event: JobEventOf<'Heartbeat'>): Transition {
  const { phase, state, settings } = at
  const { member, attempt, progress } = event
  if (attempt !== phase.attempt.id || progress === undefined || phase.step !== 'restoring')
    return onRuns(at, member, attempt)
  const known = phase.progress.get(member)
  const isFurther =
    progress.steps > (known?.steps ?? 0) || progress.restoredBytes > (known?.restoredBytes ?? 0)
  if (!isFurther) return stay(state)
  const next = { ...phase, progress: new Map(phase.progress).set(member, progress) }
  const message = `deploying attempt ${attempt}: ${restoredText(next)}`
  return stay({ ...state, phase: next, message }, timer(settings.timing.noProgressMs))
}

function restoredText({ progress, deployed, attempt }: Deploying): string {
  const bytes = [...progress.values()].reduce((sum, p) => sum + p.restoredBytes, 0)
  return `${deployed.size} of ${attempt.members.size} TaskManagers ready, ${bytes} bytes restored`
}

function onDeployed(at: At<Deploying>, { member, attempt }: JobEventOf<'Deployed'>): Transition {
  const { phase, state, settings } = at
  if (attempt !== phase.attempt.id || phase.step !== 'restoring') return stay(state)
  const deployed = new Set(phase.deployed).add(member)
  const next: Deploying = { ...phase, deployed }
  if (deployed.size < phase.attempt.members.size)
    return stay({ ...state, phase: next }, timer(settings.timing.noProgressMs))
  return onAllDeployed({ ...at, phase: next })
}

/** Sinks have committed what they restored. Where the run is to end, that was all there was to do. */
function onAllDeployed(at: At<Deploying>): Transition {
  const { phase, settings, state, moment } = at
  const { attempt } = phase
  const { ending } = moment.log
  if (ending !== undefined)
    return close(at, {
      status: ending.status,
      message: `everything is committed with ${ending.id}`,
      waits: CERTAIN,
      committedUpTo: ending.id,
    })
  const message =
    state.restoredFrom === undefined
      ? 'running, started empty'
      : `running, restored from ${state.restoredFrom}`
  const running: Running = { kind: 'Running', attempt, moving: undefined }
  const start = toAttempt(attempt, { type: 'start', epoch: settings.epoch, attempt: attempt.id })
  const coordinator: JobEffect = {
    type: 'startCoordinator',
    attempt: attempt.id,
    isRestored: phase.point?.kind !== 'empty',
    highestId: 0,
  }
  return enter({ ...at, state: { ...state, error: undefined } }, running, message, coordinator, start)
}

const DEPLOYING: Handlers<Deploying> = {
  ...EXECUTING,
  Heartbeat: onDeployHeartbeat,
  Verified: (at, { deployment, point, url }) =>
    deployment === at.phase.deployment && at.phase.step === 'verifying'
      ? appendDeploy({ ...at, state: { ...at.state, restoredFrom: url } }, point)
      : stay(at.state),
  VerifyFailed: onVerifyFailed,
  Appended: (at, { kind }) => {
    const { phase, state, settings } = at
    const { attempt, point } = phase
    if (kind !== 'DEPLOY' || phase.step !== 'logging' || point === undefined) return stay(state)
    const next: Deploying = { ...phase, step: 'restoring' }
    const deploy: JobEffect = { type: 'deploy', attempt, point }
    return stay({ ...state, phase: next }, deploy, timer(settings.timing.noProgressMs))
  },
  Refused: onDeployRefused,
  TimeOut: onDeployTimeOut,
  Deployed: onDeployed,
  StopRequested: (at, { stop }) => stopIdle(at, stop, { settled: true, logged: at.phase.step !== 'logging' }),
}

// --- Running ------------------------------------------------------------------------------------

/** Once there is room elsewhere, or no more time: a last checkpoint, so that little is replayed. */
function moveOn(at: At<Running>, atOnce: boolean): Transition {
  const { phase, state } = at
  const { moving } = phase
  if (moving === undefined || moving.request !== undefined) return stay(state)
  if (!atOnce && findPlaces(at) === undefined) return stay(state)
  const counter = state.counter + 1
  const triggerId = `${phase.attempt.id}/move-${counter}`
  const next: Running = { ...phase, moving: { ...moving, request: triggerId } }
  return stay({ ...state, phase: next, counter }, noTimer, {
    type: 'takeCheckpoint',
    request: { triggerId, kind: 'checkpoint' },
  })
}

function onLeaving(at: At<Running>, { member, why }: JobEventOf<'Leaving'>): Transition {
  const { phase, state, settings } = at
  if (!uses(phase.attempt, member) || phase.moving !== undefined) return stay(state)
  const cause = `TaskManager ${nameOf(phase.attempt, member)} leaves: ${why}`
  const next: Running = { ...phase, moving: { cause, request: undefined } }
  const moving = stay({ ...state, phase: next }, timer(settings.timing.handOverMs))
  return andThen(at, moving, (then) => moveOn({ ...then, phase: next }, false))
}

function onMoved(at: At<Running>, triggerId: string): Transition {
  const { moving } = at.phase
  if (moving === undefined || moving.request !== triggerId) return stay(at.state)
  return fail(at, lost(moving.cause))
}

function onFinished(at: At<Running>, event: JobEventOf<'SubtaskFinished'>): Transition {
  const { phase, state } = at
  if (event.attempt !== phase.attempt.id) return stay(state)
  const attempt = withFinished(phase.attempt, event.subtask)
  if (!hasFinished(attempt)) return stay({ ...state, phase: { ...phase, attempt } })
  return takeLast(at, stopping(attempt, 'Finished', undefined))
}

function stopping(attempt: Attempt, end: Stopping['end'], savepoint: Stopping['savepoint']): Stopping {
  return { kind: 'Stopping', attempt, end, savepoint, request: undefined, id: undefined }
}

function onStop(at: At<Running>, { stop }: JobEventOf<'StopRequested'>): Transition {
  const asked: At = { ...at, state: { ...at.state, stops: [...at.state.stops, stop] } }
  return takeLast(asked, stopping(at.phase.attempt, stop.drain ? 'Drained' : 'Suspended', stop.savepoint))
}

const noteCommitted = <P extends Running | Stopping>(phase: P, event: JobEventOf<'SubtaskCommitted'>): P =>
  event.attempt === phase.attempt.id
    ? { ...phase, attempt: withCommitted(phase.attempt, event.subtask, event.checkpointId) }
    : phase

const RUNNING: Handlers<Running> = {
  ...EXECUTING,
  Registered: (at) => moveOn(at, false),
  Leaving: onLeaving,
  TimeOut: (at) => moveOn(at, true),
  CheckpointDone: (at, { triggerId }) => onMoved(at, triggerId),
  CheckpointFailed: (at, { triggerId }) => onMoved(at, triggerId),
  SubtaskFinished: onFinished,
  SubtaskCommitted: (at, event) => stay({ ...at.state, phase: noteCommitted(at.phase, event) }),
  StopRequested: onStop,
}

// --- Stopping -----------------------------------------------------------------------------------

/** Closes the run when every sink has committed its last checkpoint. */
function closeIfCommitted(at: At<Stopping>): Transition {
  const { phase, settings, state } = at
  const { attempt, id, end } = phase
  const held = stay({ ...state, phase })
  if (id === undefined) return held
  const missing = uncommitted(attempt, id)
  if (missing.length > 0) {
    const message = `waiting for sinks to commit ${id}: ${missing.slice(0, 5).join(', ')}`
    return stay({ ...held.state, message }, timer(settings.timing.noProgressMs))
  }
  const message = end === 'Finished' ? `finished; everything is committed with ${id}` : `stopped with ${id}`
  return close(
    { ...at, state: held.state },
    {
      status: end,
      message,
      waits: { settled: false, logged: true },
      committedUpTo: id,
      effects: [{ type: 'stopCoordinator', reason: 'COORDINATOR_SHUTDOWN' }],
    },
  )
}

function onLastFailed(at: At<Stopping>, { triggerId, error }: JobEventOf<'CheckpointFailed'>): Transition {
  const { phase, state } = at
  if (triggerId !== phase.request) return stay(state)
  // The tasks have reached their end and wait: another try costs nothing but time.
  if (phase.end === 'Finished') {
    const message = `end of data; the last checkpoint is tried again: ${error.message}`
    return stay({ ...state, phase: { ...phase, request: undefined }, message }, timer(retryDelay(at, 1)))
  }
  // Never triggered: no task has stopped.
  if (error.context['checkpointId'] === undefined) {
    const running: Running = { kind: 'Running', attempt: phase.attempt, moving: undefined }
    const { state: answered, effects } = failStops(state, error)
    return enter({ ...at, state: answered }, running, 'running; a stop was refused', ...effects)
  }
  return fail(at, failureOf({ ...error, retry: 'restart-job' }))
}

function onStopTimeOut(at: At<Stopping>): Transition {
  const { phase, settings } = at
  if (phase.id === undefined) return takeLast(at, phase)
  const missing = uncommitted(phase.attempt, phase.id).join(', ')
  const text = `Sinks did not commit ${phase.id} for ${settings.timing.noProgressMs} ms: ${missing}`
  return fail(at, failureOf(toErrorData(new WeirError('DEADLINE', text, { retry: 'restart-job' }))))
}

const STOPPING: Handlers<Stopping> = {
  ...EXECUTING,
  CheckpointDone: (at, { triggerId, id }) =>
    triggerId === at.phase.request ? closeIfCommitted({ ...at, phase: { ...at.phase, id } }) : stay(at.state),
  CheckpointFailed: onLastFailed,
  SubtaskCommitted: (at, event) => closeIfCommitted({ ...at, phase: noteCommitted(at.phase, event) }),
  TimeOut: onStopTimeOut,
  StopRequested: (at, { stop }) => stay({ ...at.state, stops: [...at.state.stops, stop] }),
}

// --- Restarting ---------------------------------------------------------------------------------

function restartWhenCertain(at: At, phase: Restarting): Transition {
  const { waits, delayed } = phase
  const held: At = { ...at, state: { ...at.state, phase }, phase }
  return waits.settled && waits.logged && !delayed ? deployOrWait(held) : stay(held.state)
}

const RESTARTING: Handlers<Restarting> = {
  ...STRAYS,
  Settled: (at) => {
    const { state, moment, phase } = at
    const { stops, waits } = phase
    const settled: Restarting = { ...phase, stops: [], waits: { ...waits, settled: true } }
    // A stop whose checkpoint is in the log is carried out, whatever failed since.
    if (moment.log.ending !== undefined)
      return restartWhenCertain({ ...at, state: { ...state, stops: [...stops, ...state.stops] } }, settled)
    const error = state.error ?? toErrorData(new WeirError('NET_LOST', state.message))
    const failed = failStops({ ...state, stops }, error)
    const later: Transition = { ...failed, state: { ...failed.state, stops: state.stops } }
    return andThen(at, later, (then) => resumeStops(then, restartWhenCertain(then, settled)))
  },
  Appended: (at) => restartWhenCertain(at, { ...at.phase, waits: { ...at.phase.waits, logged: true } }),
  Refused: (at) => restartWhenCertain(at, { ...at.phase, waits: { ...at.phase.waits, logged: true } }),
  TimeOut: (at) => restartWhenCertain(at, { ...at.phase, delayed: false }),
  StopRequested: (at, { stop }) => stopIdle(at, stop, at.phase.waits),
}

// --- Closing ------------------------------------------------------------------------------------

function closeWhenCertain(at: At<Closing>, waits: Closing['waits']): Transition {
  const phase: Closing = { ...at.phase, waits }
  return appendClose({ ...at, state: { ...at.state, phase }, phase }, phase)
}

function onClosed(at: At<Closing>): Transition {
  const { phase, state } = at
  const { status, attempt } = phase
  const answers = state.stops.map((stop): JobEffect => {
    if (status !== 'Failed') return { type: 'answerStop', stop, outcome: { kind: 'closed', status } }
    const error = phase.error ?? toErrorData(new WeirError('BUG', `the run ended as ${status}`))
    return { type: 'answerStop', stop, outcome: { kind: 'failed', error } }
  })
  return enter(
    { ...at, state: { ...state, stops: [] } },
    { kind: 'Closed', status },
    state.message,
    ...(attempt === undefined ? [] : [cancel(at, attempt, state.message)]),
    ...answers,
    { type: 'closed', status },
  )
}

function onCloseRefused(at: At<Closing>, { kind, error }: JobEventOf<'Refused'>): Transition {
  if (kind === 'DEPLOY') return closeWhenCertain(at, { ...at.phase.waits, logged: true })
  const message = `cannot write the end of the run to the log, trying again: ${error.message}`
  return stay({ ...at.state, message, error }, timer(retryDelay(at, 1)))
}

const CLOSING: Handlers<Closing> = {
  Settled: (at) => closeWhenCertain(at, { ...at.phase.waits, settled: true }),
  Appended: (at, { kind }) =>
    kind === 'CLOSE' ? onClosed(at) : closeWhenCertain(at, { ...at.phase.waits, logged: true }),
  Refused: onCloseRefused,
  TimeOut: (at) => closeWhenCertain(at, at.phase.waits),
  StopRequested: (at, { stop }) => stay({ ...at.state, stops: [...at.state.stops, stop] }),
}

// --- Closed -------------------------------------------------------------------------------------

const CLOSED: Handlers<PhaseOf<'Closed'>> = {
  ...STRAYS,
  StopRequested: (at, { stop }) =>
    stay(at.state, { type: 'answerStop', stop, outcome: { kind: 'closed', status: at.phase.status } }),
}

/** The one table. */
const TABLE: { readonly [K in PhaseKind]: Handlers<PhaseOf<K>> } = {
  Looking: LOOKING,
  WaitingForSlots: WAITING,
  Deploying: DEPLOYING,
  Running: RUNNING,
  Stopping: STOPPING,
  Restarting: RESTARTING,
  Closing: CLOSING,
  Closed: CLOSED,
  Over: {},
}
