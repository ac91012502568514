/**
 * The life of a job under one term as one pure function: `next(settings, state, event, moment)`.
 * The JobMaster performs the effects; the simulator runs the same.
 *
 * J1 A DEPLOY record is in the log before any deploy command leaves, and what became of the one
 *    before is certain before the next attempt is chosen.
 * J2 Messages of another attempt than the current one change nothing, nor do those of a connection
 *    that is gone.
 * J3 A run is closed as Finished, Suspended or Drained only after every sink has said that it
 *    committed the last checkpoint, or when nothing runs whose output could be committed.
 * J4 Once Closing, no failure counts: the log decides how the run has ended.
 * J5 A request that is refused changes nothing.
 * J6 Every stop is answered once, when the run has ended at the latest, or the term.
 */
import { toErrorData } from '#runtime/base/errors'
import type {
  At,
  Handlers,
  JobEvent,
  JobEventOf,
  JobSettings,
  JobState,
  Moment,
  Transition,
} from './job-event.ts'
import type { Phase, PhaseKind, PhaseOf } from './job-phase.ts'
import { noTimer, stay, timer } from './job-steps.ts'
import { failStops } from './job-stops.ts'
import { CLOSED, CLOSING, OVER } from './phases/closing.ts'
import { DEPLOYING } from './phases/deploying.ts'
import { LOOKING } from './phases/looking.ts'
import { RESTARTING } from './phases/restarting.ts'
import { RUNNING } from './phases/running.ts'
import { STOPPING } from './phases/stopping.ts'
import { WAITING } from './phases/waiting.ts'
import { noFailures } from './restart-strategy.ts'

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
  Over: OVER,
}

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

/** The same state where the event means nothing to the job. */
export function next(settings: JobSettings, before: JobState, event: JobEvent, moment: Moment): Transition {
  const first = step(settings, before, event, moment)
  let { state } = first
  const effects = [...first.effects]
  for (const raised of first.raised ?? []) {
    const then = next(settings, state, raised, moment)
    state = then.state
    effects.push(...then.effects)
  }
  return { state, effects }
}

function step(settings: JobSettings, before: JobState, event: JobEvent, moment: Moment): Transition {
  if (isOfStranger(before, event)) return stay(before)
  const members = membersAfter(before, event)
  const state = members === before.members ? before : { ...before, members }
  const { phase } = state
  const at: At = { settings, moment, state, phase }
  if (event.type === 'TermOver') return onTermOver(at, event)
  const handlers = TABLE[phase.kind] as Handlers<Phase>
  const handler = handlers[event.type] as ((at: At, event: JobEvent) => Transition) | undefined
  return handler === undefined ? stay(state) : handler(at, event)
}

const isOfStranger = ({ members }: JobState, event: JobEvent): boolean =>
  event.type !== 'Registered' && 'member' in event && members.every((m) => m.key !== event.member)

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

/** How a run has ended stays known, whoever leads since. */
function onTermOver({ state, phase }: At, { error }: JobEventOf<'TermOver'>): Transition {
  if (phase.kind === 'Over') return stay(state)
  const over = { type: 'over', error } as const
  if (phase.kind === 'Closed') return stay(state, noTimer, over)
  const data = toErrorData(error)
  const { state: answered, effects } = failStops(state, state.stops, data)
  const ended: JobState = { ...answered, phase: { kind: 'Over', error: data }, message: error.message }
  return stay(ended, noTimer, ...effects, over)
}
