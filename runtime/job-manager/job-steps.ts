/** Steps that several phases take in the same way; pure, as all of the job's machine. */
import { backoffDelay } from '#runtime/base/backoff'
import { invariant, toErrorData, WeirError, type ErrorData } from '#runtime/base/errors'
import { nextAttempt } from '#runtime/commit-log/log-state'
import type { LogRecordOf } from '#runtime/contract/checkpoint-records'
import type { FromJobManager } from '#runtime/contract/rpc'
import { chooseRestore } from '#runtime/restore/choose-restore-point'
import { newAttempt, type Attempt, type Member } from './attempt.ts'
import type { At, Failure, JobEffect, JobState, Transition } from './job-event.ts'
import {
  attemptOf,
  TRANSITIONS,
  type Closing,
  type Phase,
  type PhaseKind,
  type RunOutcome,
  type Waits,
} from './job-phase.ts'
import { decideRestart } from './restart-strategy.ts'
import { assignSlots, slotsWanted } from './scheduler.ts'

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
  const then = second({ ...at, state: first.state, phase: first.state.phase })
  return {
    state: then.state,
    effects: [...first.effects, ...then.effects],
    raised: [...(first.raised ?? []), ...(then.raised ?? [])],
  }
}

export function toAttempt(attempt: Attempt, message: FromJobManager): JobEffect {
  return { type: 'send', members: [...attempt.members.values()], message }
}

export const available = (state: JobState): readonly Member[] => state.members.filter((m) => !m.leaving)

export function findPlaces({ settings, state }: At) {
  const offers = available(state).map((m) => ({ taskManager: m.id, slots: m.slots }))
  return assignSlots(settings.plan, offers)
}

/** Deploys where there are slots, else waits for them. `why`: in words, for the message. */
export function deployOrWait(at: At, why?: string): Transition {
  const { settings, state, moment } = at
  const members = available(state)
  const places = findPlaces(at)
  if (places === undefined) {
    const have = members.reduce((sum, m) => sum + m.slots, 0)
    const wanted = slotsWanted(settings.plan)
    const text = `waiting for slots: ${wanted} wanted, ${have} registered by ${members.length} TaskManager(s)`
    return enter(at, { kind: 'WaitingForSlots' }, why === undefined ? text : `${text} (${why})`)
  }
  const choice = chooseRestore(moment.log, settings.run, settings.restore)
  const attempt = newAttempt(nextAttempt(moment.log, settings.epoch), places, members)
  const deployment = state.counter + 1
  const counted: At = { ...at, state: { ...state, counter: deployment } }
  const deploying: Phase = {
    kind: 'Deploying',
    attempt,
    deployment,
    choice,
    point: undefined,
    step: 'verifying',
    tries: 0,
    deployed: new Set(),
    progress: new Map(),
  }
  const message = `deploying${why === undefined ? '' : ` (${why})`}: looking at the restore point`
  return enter(counted, deploying, message, { type: 'verify', deployment, choice })
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
  if (isFinal(error) || decision.kind === 'fail') {
    const message = decision.kind === 'fail' ? `${error.message} (${decision.why})` : error.message
    return close(failed, { outcome: { status: 'Failed', error }, message, waits, effects })
  }
  const restarts = state.restarts + 1
  const restarting: Phase = { kind: 'Restarting', error, waits, delayed: true, failing: state.stops }
  const message = `restarting: ${error.message}`
  const counted: At = { ...failed, state: { ...failed.state, restarts } }
  return enter(counted, restarting, message, ...effects, timer(decision.delayMs))
}

/** Nothing that a restart, time or a rotated credential could mend. */
const isFinal = ({ retry, code }: ErrorData): boolean => retry === 'never' && code !== 'STO_DENIED'

export function cancel({ settings }: At, attempt: Attempt, why: string): JobEffect {
  return toAttempt(attempt, { type: 'cancel', epoch: settings.epoch, attempt: attempt.id, why })
}

export interface CloseOptions {
  readonly outcome: RunOutcome
  readonly message: string
  readonly waits: Waits
  readonly effects?: readonly JobEffect[]
}

/** On the way to CLOSE: from here on nothing but the log decides, and no failure counts. */
export function close(at: At, { outcome, message, waits, effects = [] }: CloseOptions): Transition {
  // An attempt that failed was cancelled with its failure.
  const attempt = outcome.status === 'Failed' ? undefined : attemptOf(at.phase)
  const phase: Closing = { kind: 'Closing', outcome, attempt, waits, tries: 0 }
  return andThen(at, enter(at, phase, message, ...effects), (closing) => appendClose(closing, phase))
}

/** Appends CLOSE once nothing is in doubt any more. */
export function appendClose({ settings, state }: At, { outcome, waits }: Closing): Transition {
  if (!waits.settled || !waits.logged) return stay(state)
  const { status } = outcome
  const committedUpTo = status === 'Failed' ? 0 : outcome.committedUpTo
  const body: LogRecordOf<'CLOSE'> = { kind: 'CLOSE', run: settings.run, status, committedUpTo }
  return stay(state, { type: 'append', body })
}

export const retryDelay = ({ settings, moment }: At, tries: number): number =>
  backoffDelay(settings.timing.retry, tries, moment.random)

/** What failed in a process that runs on. */
export function failureOf(error: ErrorData, of: Partial<Omit<Failure, 'error'>> = {}): Failure {
  return { subtask: undefined, taskManager: undefined, processLost: false, detectMs: 0, ...of, error }
}

/** A process or its connection is gone. */
export function lost(message: string, of: Partial<Omit<Failure, 'error'>> = {}): Failure {
  return failureOf(toErrorData(new WeirError('NET_LOST', message)), { processLost: true, ...of })
}
