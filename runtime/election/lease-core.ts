import { assertNever } from '#runtime/base/errors'
import type { Epoch } from '#runtime/contract/ids'
import type { ElectionState } from './lease.ts'

/**
 * The protocol of one candidate, pure: `next(settings, state, event)` gives the new state and what
 * to do. The loop (lease-loop.ts) does it and reports back.
 *
 * E1 At most one command is in flight.
 * E2 `validUntil` counts from before the command was sent, so a slow answer never makes a lease
 *    look longer than it is.
 * E3 No answer changes nothing: a leader goes on (nobody else can take what nobody can reach), a
 *    standby keeps asking.
 * E4 Only a foreign token ends a leadership. The state `ended` is final.
 */
export interface LeaseSettings {
  readonly ttlMs: number
  readonly token: string
  readonly floor: number
}

export type LeaseState =
  | {
      readonly kind: 'standby'
      readonly busy: boolean
      readonly leader: string | undefined
      readonly wakeAt: number
    }
  | {
      readonly kind: 'leading'
      readonly busy: boolean
      readonly epoch: Epoch
      readonly validUntil: number
      readonly overdue: boolean
      readonly wakeAt: number
    }
  | { readonly kind: 'ended'; readonly why: string }

/** `now`: monotonic milliseconds. `random`: [0, 1), spreads candidates. */
export type LeaseEvent = { readonly now: number; readonly random: number } & LeaseOccurrence

/** `sentAt`: when the command was sent, monotonic milliseconds. */
export type LeaseOccurrence =
  | { readonly type: 'wake' }
  /** The holder released, or the connection came back: ask at once. */
  | { readonly type: 'hint' }
  | { readonly type: 'acquired'; readonly epoch: Epoch; readonly sentAt: number }
  | { readonly type: 'held'; readonly holder: string; readonly remainingMs: number }
  | { readonly type: 'renewed'; readonly sentAt: number }
  | { readonly type: 'retaken'; readonly sentAt: number }
  | { readonly type: 'foreign'; readonly holder: string }
  | { readonly type: 'unreachable' }

export type LeaseAction =
  | { readonly type: 'acquire'; readonly token: string; readonly floor: number }
  | { readonly type: 'renew'; readonly token: string; readonly epoch: Epoch }
  /** Sends `wake` at that time; replaces the earlier one. */
  | { readonly type: 'wakeAt'; readonly at: number }
  | { readonly type: 'report'; readonly state: ElectionState }
  /**
   * overdue: the lease ran out unconfirmed; confirmed: Redis answers again; retaken: it had lost
   * the key. Each is a flap.
   */
  | { readonly type: 'notice'; readonly notice: 'overdue' | 'confirmed' | 'retaken' }

export interface LeaseStep {
  readonly state: LeaseState
  readonly actions: readonly LeaseAction[]
}

export const initialLease = (now: number): LeaseState => ({
  kind: 'standby',
  busy: false,
  leader: undefined,
  wakeAt: now,
})

/** What a lease is shortened by here, for clocks that run at slightly different speed. */
const guardMs = (ttlMs: number): number => Math.max(ttlMs * 0.02, 50)
const renewEveryMs = (ttlMs: number): number => ttlMs / 3

export function next(settings: LeaseSettings, state: LeaseState, event: LeaseEvent): LeaseStep {
  if (state.kind === 'ended') return { state, actions: [] }
  return state.kind === 'standby' ? nextStandby(settings, state, event) : nextLeading(settings, state, event)
}

type EventOf<T extends LeaseEvent['type']> = Extract<LeaseEvent, { readonly type: T }>
type Standby = Extract<LeaseState, { kind: 'standby' }>
type Leading = Extract<LeaseState, { kind: 'leading' }>

function nextStandby(settings: LeaseSettings, state: Standby, event: LeaseEvent): LeaseStep {
  switch (event.type) {
    case 'wake':
    case 'hint':
      return ask(settings, state, event)
    case 'acquired':
      return lead(
        settings,
        { kind: 'leading', busy: false, epoch: event.epoch, validUntil: 0, overdue: false, wakeAt: 0 },
        event,
        [{ type: 'report', state: { kind: 'leading', redisEpoch: event.epoch } }],
      )
    case 'held':
      return waitForHolder(settings, state, event)
    case 'unreachable':
      return idle(state, event.now + (settings.ttlMs / 4) * (0.8 + 0.4 * event.random), [])
    case 'renewed':
    case 'retaken':
    case 'foreign':
      return stay(state)
    default:
      return assertNever(event)
  }
}

function ask({ token, floor }: LeaseSettings, state: Standby, event: EventOf<'wake' | 'hint'>): LeaseStep {
  if (!state.busy)
    return {
      state: { ...state, busy: true, wakeAt: Infinity },
      actions: [{ type: 'acquire', token, floor }],
    }
  // A hint while a command is in flight may be about what that command did not see yet: ask again
  // right after its answer.
  return stay(event.type === 'hint' ? { ...state, wakeAt: event.now } : state)
}

function waitForHolder({ ttlMs }: LeaseSettings, state: Standby, event: EventOf<'held'>): LeaseStep {
  const { now, random, holder } = event
  // Just after it runs out, or half a time to live from now: the holder may be gone and its release
  // message lost.
  const waitMs = Math.min(
    Math.max(event.remainingMs, 0) + 5 + random * ttlMs * 0.05,
    (ttlMs / 2) * (0.8 + 0.2 * random),
  )
  const report: LeaseAction[] =
    holder === state.leader ? [] : [{ type: 'report', state: { kind: 'standby', leader: holder } }]
  return idle({ ...state, leader: holder }, now + waitMs, report)
}

function nextLeading(settings: LeaseSettings, state: Leading, event: LeaseEvent): LeaseStep {
  switch (event.type) {
    case 'wake':
    case 'hint':
      return renew(settings, state, event.now)
    case 'renewed':
      return lead(settings, state, event, state.overdue ? [{ type: 'notice', notice: 'confirmed' }] : [])
    case 'retaken':
      return lead(settings, state, event, [{ type: 'notice', notice: 'retaken' }])
    case 'foreign':
      return end(`${event.holder} holds the lease`)
    case 'unreachable':
      return idle(state, event.now + (settings.ttlMs / 6) * (0.8 + 0.4 * event.random), [])
    case 'acquired':
    case 'held':
      return stay(state)
    default:
      return assertNever(event)
  }
}

function renew({ token }: LeaseSettings, state: Leading, now: number): LeaseStep {
  const isOverdue = now >= state.validUntil
  const notice: LeaseAction[] = isOverdue && !state.overdue ? [{ type: 'notice', notice: 'overdue' }] : []
  const overdue = state.overdue || isOverdue
  if (state.busy) return { state: { ...state, overdue }, actions: notice }
  // While the renewal is in flight, wake once to notice that the lease ran out meanwhile.
  const watch: LeaseAction[] = isOverdue ? [] : [{ type: 'wakeAt', at: state.validUntil }]
  return {
    state: { ...state, busy: true, overdue, wakeAt: Infinity },
    actions: [...notice, { type: 'renew', token, epoch: state.epoch }, ...watch],
  }
}

function lead(
  { ttlMs }: LeaseSettings,
  state: Leading,
  event: { readonly now: number; readonly sentAt: number },
  actions: readonly LeaseAction[],
): LeaseStep {
  const validUntil = event.sentAt + ttlMs - guardMs(ttlMs)
  return idle(
    { ...state, validUntil, overdue: false },
    Math.max(event.now, event.sentAt + renewEveryMs(ttlMs)),
    actions,
  )
}

/** The command was answered: wait until `wakeAt`, or less when a hint came meanwhile. */
function idle(state: Standby | Leading, wakeAt: number, actions: readonly LeaseAction[]): LeaseStep {
  const at = Math.min(wakeAt, state.busy && state.kind === 'standby' ? state.wakeAt : Infinity)
  return { state: { ...state, busy: false, wakeAt: at }, actions: [...actions, { type: 'wakeAt', at }] }
}

const stay = (state: LeaseState): LeaseStep => ({ state, actions: [] })
const end = (why: string): LeaseStep => ({
  state: { kind: 'ended', why },
  actions: [{ type: 'report', state: { kind: 'lost', why } }],
})
