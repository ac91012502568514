/**
 * The life of a JobManager as a candidate for leadership, pure. Each kind says what is waited for:
 *
 * Preparing: plan, store and log. Unable: a person, or a rotated credential. Standby: the lease;
 * it follows the log meanwhile, so that it can lead at once. Opening: EPOCH_OPEN in the log.
 * Leading: nothing. Ended: nothing, the run is over; what it left is still shown.
 *
 * C1 At most one campaign at a time; what belongs to an earlier one changes nothing, an epoch that
 *    it opened included: nobody acts under it.
 * C2 Who cannot lead, or has nothing left to lead, gives the lease back.
 * C3 What time or a rotated credential may mend is tried again.
 */
import { backoffDelay, type BackoffOptions } from '#runtime/base/backoff'
import type { WeirError } from '#runtime/base/errors'
import type { LogState } from '#runtime/commit-log/log-state'
import type { RunNumber } from '#runtime/contract/ids'
import type { JobState } from '#runtime/contract/rest'

export type Candidate =
  | { readonly kind: 'Preparing' }
  | { readonly kind: 'Unable' }
  | { readonly kind: 'Standby'; readonly campaign: number; readonly leader: string | undefined }
  | { readonly kind: 'Opening'; readonly campaign: number }
  | { readonly kind: 'Leading'; readonly campaign: number }
  | { readonly kind: 'Ended'; readonly state: JobState }
  | { readonly kind: 'Closed' }

export interface CandidateState {
  readonly candidate: Candidate
  /** In words, why it is where it is. */
  readonly message: string
  readonly error: WeirError | undefined
  /** Failures in a row; the backoff follows from them. */
  readonly tries: number
  /** The last campaign that was begun. */
  readonly campaigns: number
}

/** How the log says that this process's run is over. */
export interface RunOver {
  readonly state: JobState
  readonly message: string
}

export type CandidateEvent =
  | { readonly type: 'Prepared'; readonly over: RunOver | undefined }
  | { readonly type: 'PrepareFailed'; readonly error: WeirError }
  /** The campaign could not even begin. */
  | { readonly type: 'CampaignFailed'; readonly campaign: number; readonly error: WeirError }
  | { readonly type: 'LeaderSeen'; readonly campaign: number; readonly leader: string | undefined }
  | { readonly type: 'Elected'; readonly campaign: number; readonly floor: number }
  | { readonly type: 'LeaseLost'; readonly campaign: number; readonly why: string }
  | { readonly type: 'Opened'; readonly campaign: number }
  | {
      readonly type: 'OpenFailed'
      readonly campaign: number
      readonly error: WeirError
      readonly over: RunOver | undefined
    }
  | { readonly type: 'TermOver'; readonly error: WeirError; readonly over: RunOver | undefined }
  | { readonly type: 'RunClosed'; readonly state: JobState }
  | { readonly type: 'Followed'; readonly over: RunOver | undefined }
  | { readonly type: 'TimeOut' }
  | { readonly type: 'Close' }

export type CandidateEffect =
  | { readonly type: 'prepare' }
  | { readonly type: 'campaign'; readonly campaign: number }
  /** Gives the lease back. */
  | { readonly type: 'endCampaign' }
  | { readonly type: 'openEpoch'; readonly campaign: number; readonly floor: number }
  | { readonly type: 'lead' }
  | { readonly type: 'endTerm'; readonly why: string }
  | { readonly type: 'follow' }
  | { readonly type: 'timer'; readonly delayMs: number | undefined }

export interface CandidateStep {
  readonly state: CandidateState
  readonly effects: readonly CandidateEffect[]
}

export interface CandidateTiming {
  /** Between reads of the log by a standby. */
  readonly followMs: number
  readonly retry: BackoffOptions
}

export const PREPARING: CandidateState = {
  candidate: { kind: 'Preparing' },
  message: 'starting',
  error: undefined,
  tries: 0,
  campaigns: 0,
}

type EventOf<E extends CandidateEvent['type']> = Extract<CandidateEvent, { type: E }>

interface At {
  readonly timing: CandidateTiming
  readonly state: CandidateState
  readonly random: number
}

export function next(
  timing: CandidateTiming,
  state: CandidateState,
  event: CandidateEvent,
  random: number,
): CandidateStep {
  const at: At = { timing, state, random }
  const { candidate } = state
  if (candidate.kind === 'Closed') return stay(state)
  if (event.type === 'Close') return close(at)
  return isStale(candidate, event) ? stay(state) : ON[candidate.kind](at, event)
}

/** It belongs to a campaign that is over. */
function isStale(candidate: Candidate, event: CandidateEvent): boolean {
  if (!('campaign' in event)) return false
  return !('campaign' in candidate) || candidate.campaign !== event.campaign
}

const stay = (state: CandidateState, ...effects: CandidateEffect[]): CandidateStep => ({ state, effects })
const timer = (delayMs: number): CandidateEffect => ({ type: 'timer', delayMs })
const noTimer: CandidateEffect = { type: 'timer', delayMs: undefined }

function preparing(at: At, event: CandidateEvent): CandidateStep {
  const { state } = at
  if (event.type === 'TimeOut') return stay(state, { type: 'prepare' })
  if (event.type === 'Prepared') return event.over ? end(at, event.over) : campaign(at, 'standing by')
  if (event.type !== 'PrepareFailed') return stay(state)
  const { error } = event
  const { message } = error
  if (isPassing(error))
    return retryLater({ ...at, state: { ...state, candidate: { kind: 'Preparing' }, message, error } })
  return stay({ ...state, candidate: { kind: 'Unable' }, message, error })
}

/** Time or a rotated credential may mend it. */
const isPassing = ({ retry, code }: WeirError): boolean => retry === 'backoff' || code === 'STO_DENIED'

function retryLater({ state, timing, random }: At, ...effects: CandidateEffect[]): CandidateStep {
  const tries = state.tries + 1
  return stay({ ...state, tries }, ...effects, timer(backoffDelay(timing.retry, tries, random)))
}

function campaign({ state, timing }: At, message: string): CandidateStep {
  const number = state.campaigns + 1
  const candidate: Candidate = { kind: 'Standby', campaign: number, leader: undefined }
  return stay(
    { ...state, candidate, message, error: undefined, campaigns: number },
    { type: 'campaign', campaign: number },
    timer(timing.followMs),
  )
}

/** Gives the lease back, and stands for it again a little later. */
function stepDown(
  { state, timing, random }: At,
  message: string,
  error: WeirError | undefined,
): CandidateStep {
  // Nobody campaigns until the timer fires: then the log is read again, and the rest follows.
  const candidate: Candidate = { kind: 'Preparing' }
  return retryLater(
    { timing, random, state: { ...state, candidate, message, error } },
    { type: 'endCampaign' },
  )
}

/** The lease is given back; a person must act. */
function unable({ state }: At, error: WeirError): CandidateStep {
  const { message } = error
  return stay({ ...state, candidate: { kind: 'Unable' }, message, error }, noTimer, { type: 'endCampaign' })
}

function standby(at: At, event: CandidateEvent): CandidateStep {
  const { state, timing } = at
  switch (event.type) {
    case 'CampaignFailed': {
      const { error } = event
      const text = `cannot stand for the lease, trying again: ${error.message}`
      return isPassing(error) ? stepDown(at, text, error) : unable(at, error)
    }
    case 'LeaderSeen': {
      const { campaign: number, leader } = event
      return stay({ ...state, candidate: { kind: 'Standby', campaign: number, leader } })
    }
    case 'Elected': {
      const { campaign: number, floor } = event
      const opened: Candidate = { kind: 'Opening', campaign: number }
      const message = 'elected; opening an epoch in the log'
      return stay({ ...state, candidate: opened, message }, noTimer, {
        type: 'openEpoch',
        campaign: number,
        floor,
      })
    }
    case 'LeaseLost':
      return stepDown(at, `standing by: ${event.why}`, undefined)
    case 'TimeOut':
      return stay(state, { type: 'follow' }, timer(timing.followMs))
    case 'Followed':
      return event.over ? end(at, event.over) : stay(state)
    default:
      return stay(state)
  }
}

function opening(at: At, event: CandidateEvent): CandidateStep {
  const { state } = at
  switch (event.type) {
    case 'Opened': {
      const candidate: Candidate = { kind: 'Leading', campaign: event.campaign }
      return stay({ ...state, candidate, message: 'leading', error: undefined, tries: 0 }, { type: 'lead' })
    }
    case 'OpenFailed':
      return openFailed(at, event)
    case 'LeaseLost':
      return stepDown(at, `standing by: ${event.why}`, undefined)
    default:
      return stay(state)
  }
}

function openFailed(at: At, { error, over }: EventOf<'OpenFailed'>): CandidateStep {
  if (over !== undefined) return end(at, over)
  if (isPassing(error) || error.code === 'FENCED')
    return stepDown(at, `cannot open an epoch, trying again: ${error.message}`, error)
  return unable(at, error)
}

function leading(at: At, event: CandidateEvent): CandidateStep {
  const { state } = at
  switch (event.type) {
    case 'RunClosed': {
      const candidate: Candidate = { kind: 'Ended', state: event.state }
      return stay(
        { ...state, candidate, message: `the run has ended as ${event.state}` },
        { type: 'endCampaign' },
      )
    }
    case 'LeaseLost':
      return withTermEnded(stepDown(at, `standing by: ${event.why}`, undefined), event.why)
    case 'TermOver': {
      const { over, error } = event
      const step =
        over === undefined ? stepDown(at, `standing by: ${error.message}`, undefined) : end(at, over)
      return withTermEnded(step, error.message)
    }
    default:
      return stay(state)
  }
}

function withTermEnded({ state, effects }: CandidateStep, why: string): CandidateStep {
  return { state, effects: [{ type: 'endTerm', why }, ...effects] }
}

function end({ state }: At, over: RunOver): CandidateStep {
  const candidate: Candidate = { kind: 'Ended', state: over.state }
  return stay({ ...state, candidate, message: over.message, error: undefined }, noTimer, {
    type: 'endCampaign',
  })
}

function close({ state }: At): CandidateStep {
  const closed: CandidateState = { ...state, candidate: { kind: 'Closed' }, message: 'the JobManager stops' }
  return stay(closed, noTimer, { type: 'endTerm', why: 'the JobManager stops' }, { type: 'endCampaign' })
}

const ON: Readonly<
  Record<Exclude<Candidate['kind'], 'Closed'>, (at: At, event: CandidateEvent) => CandidateStep>
> = {
  Preparing: preparing,
  Unable: preparing,
  Standby: standby,
  Opening: opening,
  Leading: leading,
  Ended: ({ state }) => stay(state),
}

/** Whether the log says that `run` is over. */
export function runOver(log: LogState, run: RunNumber): RunOver | undefined {
  if (log.run > run)
    return { state: 'Suspended', message: `Run ${run} is over: the log is at run ${log.run}.` }
  if (log.run < run || log.closed === undefined) return undefined
  const { status } = log.closed
  const state = status === 'Canceled' ? 'Suspended' : status
  return { state, message: `run ${run} was closed as ${status}` }
}

/** As it is shown while this process does not lead. */
export function shownCandidate({ candidate }: CandidateState): JobState {
  switch (candidate.kind) {
    case 'Unable':
      return 'Failed'
    case 'Ended':
      return candidate.state
    default:
      return 'Created'
  }
}
