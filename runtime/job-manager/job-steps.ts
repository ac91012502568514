import { backoffDelay } from '#runtime/base/backoff'
import { invariant, toErrorData, WeirError, type ErrorData } from '#runtime/base/errors'
import { nextAttempt } from '#runtime/commit-log/log-state'
import type { LogRecordOf } from '#runtime/contract/checkpoint-records'
import { FAILURE_REASONS } from '#runtime/contract/failure-reasons'
import type { FromJobManager } from '#runtime/contract/rpc'
import { chooseRestore } from '#runtime/restore/choose-restore-point'
import { newAttempt, type Attempt, type Member } from './attempt.ts'
import type { At, Failure, JobEffect, JobState, Transition } from './job-event.ts'
import {
  attemptOf,
  TRANSITIONS,
  type Closing,
  type CloseStatus,
  type Phase,
  type PhaseKind,
  type Stopping,
  type StopRequest,
  type Waits,
} from './job-phase.ts'
import { decideRestart } from './restart-strategy.ts'
import { assignSlots, slotsWanted } from './scheduler.ts'

/** Steps that several phases take in the same way; pure, as all of the job's machine. */

export const stay = (state: JobState, ...effects: JobEffect[]): Transition => ({ state, effects })

export const noTimer: JobEffect = { type: 'timer', delayMs: undefined }
export const timer = (delayMs: number): JobEffect => ({ type: 'timer', delayMs })

/** Into another phase; its timer, if it has one, is among the effects. */
export function enter(at: At, phase: Phase, message: string, ...effects: JobEffect[]): Transition {
  const from = at.state.phase.kind
  const allowed: readonly PhaseKind[] = TRANSITIONS[from]
  invariant(from === phase.kind || allowed.includes(phase.kind), `job from ${from} to ${phase.kind}`)
  return { state: { ...at.state, phase, message }, effects: [noTimer, ...effects] }
}

/** One transition after another: the second begins where the first has led. */
export function andThen(at: At, first: Transition, second: (at: At) => Transition): Transition {
  const { state, effects } = second({ ...at, state: first.state, phase: first.state.phase })
  return { state, effects: [...first.effects, ...effects] }
}

export function toAttempt(attempt: Attempt, message: FromJobManager): JobEffect {
  return { type: 'send', members: [...attempt.members.values()], message }
}

export const available = (state: JobState): readonly Member[] => state.members.filter((m) => !m.leaving)

export function findPlaces({ settings, state }: At) {
  const offers = available(state).map((m) => ({ taskManager: m.id, slots: m.slots }))
  return assignSlots(settings.plan, offers)
}

/** Deploys where there are slots; else waits for them. */
export function deployOrWait(at: At): Transition {
  const { settings, state, moment } = at
  const members = available(state)
  const places = findPlaces(at)
  if (places === undefined) {
    const have = members.reduce((sum, m) => sum + m.slots, 0)
    const wanted = slotsWanted(settings.plan)
    const text = `waiting for slots: ${wanted} wanted, ${have} registered by ${members.length} TaskManager(s)`
    return enter(at, { kind: 'WaitingForSlots' }, text)
  }
  const choice = chooseRestore(moment.log, settings.run, settings.restore)
  const attempt = newAttempt(nextAttempt(moment.log, settings.epoch), places, members)
  const deployment = state.counter + 1
  const entered = enter(
    at,
    {
      kind: 'Deploying',
      attempt,
      deployment,
      choice,
      point: undefined,
      step: 'verifying',
      tries: 0,
      deployed: new Set(),
      progress: new Map(),
    },
    'deploying: looking at the restore point',
    { type: 'verify', deployment, choice },
  )
  return { ...entered, state: { ...entered.state, counter: deployment } }
}

/** Ends the attempt under way for `failure`: restarts, or closes the run where that is no use. */
export function fail(at: At, failure: Failure): Transition {
  const { settings, moment, state, phase } = at
  const attempt = attemptOf(phase)
  invariant(attempt !== undefined, `failure in phase ${phase.kind}`)
  const { error, processLost } = failure
  const { decision, history } = decideRestart(settings.restart, state.failures, {
    now: moment.now,
    processLost,
    random: moment.random,
  })
  const isDeploying = phase.kind === 'Deploying'
  const waits: Waits = { settled: isDeploying, logged: !(isDeploying && phase.step === 'logging') }
  const effects: JobEffect[] = [
    { type: 'noteFailure', failure, attempt: attempt.id },
    ...(isDeploying ? [] : [{ type: 'stopCoordinator', reason: 'TASK_FAILURE' } as const]),
    cancel(at, attempt, error.message),
  ]
  const failed: At = { ...at, state: { ...state, failures: history, error } }
  if (isFinal(error)) return close(failed, { status: 'Failed', message: error.message, waits, effects })
  if (decision.kind === 'fail') {
    const message = `${error.message} (${decision.why})`
    return close(failed, { status: 'Failed', message, waits, effects })
  }
  const restarts = state.restarts + 1
  const restarting: At = { ...failed, state: { ...failed.state, restarts, stops: [] } }
  const message = `restarting: ${error.message}`
  const next: Phase = { kind: 'Restarting', waits, delayed: true, stops: state.stops }
  return enter(restarting, next, message, ...effects, timer(decision.delayMs))
}

/** Nothing that a restart, time or a rotated credential could mend. */
const isFinal = ({ retry, code }: ErrorData): boolean => retry === 'never' && code !== 'STO_DENIED'

export function cancel({ settings }: At, attempt: Attempt, why: string): JobEffect {
  return toAttempt(attempt, { type: 'cancel', epoch: settings.epoch, attempt: attempt.id, why })
}

export interface CloseOptions {
  readonly status: CloseStatus
  readonly message: string
  readonly waits: Waits
  /** Every sink has committed up to this id. */
  readonly committedUpTo?: number
  readonly effects?: readonly JobEffect[]
}

/** On the way to CLOSE: from here on nothing but the log decides, and no failure counts. */
export function close(at: At, options: CloseOptions): Transition {
  const { status, message, waits, committedUpTo = 0, effects = [] } = options
  const phase: Closing = {
    kind: 'Closing',
    status,
    attempt: status === 'Failed' ? undefined : attemptOf(at.phase),
    waits,
    committedUpTo,
    error: at.state.error,
  }
  return andThen(at, enter(at, phase, message, ...effects), (closing) => appendClose(closing, phase))
}

/** Appends CLOSE once nothing is in doubt any more. */
export function appendClose({ settings, state }: At, phase: Closing): Transition {
  if (!phase.waits.settled || !phase.waits.logged) return stay(state)
  const { status, committedUpTo } = phase
  const body: LogRecordOf<'CLOSE'> = { kind: 'CLOSE', run: settings.run, status, committedUpTo }
  return stay(state, { type: 'append', body })
}

/** Takes the last checkpoint or savepoint of the run. */
export function takeLast(at: At, phase: Stopping): Transition {
  const counter = at.state.counter + 1
  const triggerId = `${phase.attempt.id}/last-${counter}`
  const { end, savepoint } = phase
  const path = savepoint?.path === undefined ? {} : { path: savepoint.path }
  const kind = savepoint === undefined ? 'checkpoint' : 'savepoint'
  const next: Stopping = { ...phase, request: triggerId }
  const entered = enter(at, next, stoppingText(next), {
    type: 'takeCheckpoint',
    request: { triggerId, kind, end, ...path },
  })
  return { ...entered, state: { ...entered.state, counter } }
}

function stoppingText({ end, savepoint }: Stopping): string {
  if (end === 'Finished') return 'end of data: last checkpoint'
  return `${end === 'Drained' ? 'draining' : 'stopping'} with a ${savepoint === undefined ? 'checkpoint' : 'savepoint'}`
}

export function refuseStop(stop: StopRequest): JobEffect {
  const what = stop.drain ? 'drained' : 'stopped with a savepoint'
  const error = new WeirError(
    'CKP_DECLINED',
    `The job cannot be ${what} now: ${FAILURE_REASONS.NOT_ALL_REQUIRED_TASKS_RUNNING.text} ` +
      '(NOT_ALL_REQUIRED_TASKS_RUNNING). Ask again when it runs, or stop it with a checkpoint.',
    { context: { reason: 'NOT_ALL_REQUIRED_TASKS_RUNNING' } },
  )
  return { type: 'answerStop', stop, outcome: { kind: 'failed', error: toErrorData(error) } }
}

/** All stops answered with `error`. */
export function failStops(state: JobState, error: ErrorData): Transition {
  const outcome = { kind: 'failed', error } as const
  const effects = state.stops.map((stop): JobEffect => ({ type: 'answerStop', stop, outcome }))
  return { state: { ...state, stops: [] }, effects }
}

export const retryDelay = ({ settings, moment }: At, tries: number): number =>
  backoffDelay(settings.timing.retry, tries, moment.random)

/** What failed in a process that goes on. */
export function failureOf(error: ErrorData, of: Partial<Omit<Failure, 'error'>> = {}): Failure {
  return { subtask: undefined, taskManager: undefined, processLost: false, detectMs: 0, ...of, error }
}

/** A process or its connection is gone. */
export function lost(message: string, of: Partial<Omit<Failure, 'error'>> = {}): Failure {
  return failureOf(toErrorData(new WeirError('NET_LOST', message)), { processLost: true, ...of })
}
