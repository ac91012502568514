/**
 * What a running job waits for, in its status: `status.waits`, and condition Waiting, which is made
 * from it. Pure.
 */
import type { WaitView } from '#runtime/contract/rest'
import { textOfWait } from '#runtime/contract/wait-text'
import { type ConditionValue, findCondition, type Reason } from '#operator/api/conditions'
import type { StreamJobStatus, WaitKind } from '#operator/api/v1alpha1/stream-job-status'
import { lastingWaits, lastsIn, LONG_MS } from '#operator/job-managers/lasting-waits'
import type { Observed } from './observed.ts'
import { activeRun, currentFacts } from './run-state.ts'

type Wait = NonNullable<StreamJobStatus['waits']>[number]

/** Waits that come again within this time of the end of the last one must last to be written. */
const REPEATED_MS = 60_000
const WAITS_LIMIT = 10
const MESSAGE_LIMIT = 1024

const KINDS: Readonly<Record<WaitView['kind'], WaitKind>> = {
  slots: 'Slots',
  store: 'Store',
  checkpoint: 'Checkpoint',
  operator: 'Code',
  source: 'Source',
}

/** Absent: nothing that lasts is waited for, or nothing is known. */
export function waitsOf(o: Observed): StreamJobStatus['waits'] {
  if (activeRun(o) === undefined) return undefined
  const waits = lastingWaits(currentFacts(o)?.waits ?? [], o.now, isRepeated(o.status, o.now))
  return waits.length === 0 ? undefined : waits.slice(0, WAITS_LIMIT).map((wait) => written(o.status, wait))
}

/** Milliseconds until there is more to write of a wait; undefined where there is none. */
export function waitsLookIn(o: Observed, status: StreamJobStatus): number | undefined {
  const facts = activeRun(o) && currentFacts(o)
  return facts && lastsIn(facts.waits, o.now, isRepeated(status, o.now))
}

function written({ waits = [] }: StreamJobStatus, wait: WaitView): Wait {
  const kind = KINDS[wait.kind]
  const message = textOfWait(wait).slice(0, MESSAGE_LIMIT)
  // Of the same wait a JobManager may say another millisecond each time.
  const known = waits.find((w) => w.kind === kind && w.message === message)
  return known ?? { kind, since: new Date(wait.since).toISOString(), message }
}

const REASONS: Readonly<Record<WaitKind, Reason>> = {
  Slots: 'WaitingForSlots',
  Store: 'WaitingForStore',
  Checkpoint: 'WaitingForCheckpoint',
  Code: 'WaitingForCode',
  Source: 'WaitingForSource',
}

/** `unheard`: why nothing is known, where that is so. */
export function waiting(
  o: Observed,
  waits: StreamJobStatus['waits'],
  unheard: Pick<ConditionValue, 'reason' | 'message'> | undefined,
): ConditionValue {
  const type = 'Waiting'
  if (activeRun(o) === undefined)
    return { type, status: 'False', reason: 'NotRunning', message: 'The job does not run.' }
  if (unheard !== undefined) return { type, status: 'Unknown', ...unheard }
  const [longest] = waits ?? []
  if (longest === undefined) return { type, status: 'False', ...notWaiting(o.status) }
  const message = `The job waits: ${(waits ?? []).map((w) => w.message).join('; ')}.`
  return { type, status: 'True', reason: reasonOf(longest, o.now), message }
}

const reasonOf = ({ kind, since }: Wait, now: number): Reason =>
  kind === 'Store' && now - Date.parse(since) < LONG_MS ? 'StoreSlow' : REASONS[kind]

/** The reason remembers that a wait has ended, and the time of the transition when. */
function notWaiting({ conditions }: StreamJobStatus): Pick<ConditionValue, 'reason' | 'message'> {
  const before = findCondition(conditions, 'Waiting')
  if (before?.status === 'False' && before.reason === 'WaitOver')
    return { reason: 'WaitOver', message: before.message }
  // Slots are waited for at every start, which says nothing of what comes after it.
  if (before?.status === 'True' && before.reason !== 'WaitingForSlots')
    return { reason: 'WaitOver', message: `It is over: ${before.message}` }
  return { reason: 'NotWaiting', message: 'The job waits for nothing.' }
}

function isRepeated({ conditions }: StreamJobStatus, now: number): boolean {
  const before = findCondition(conditions, 'Waiting')
  if (before?.status !== 'False' || before.reason !== 'WaitOver') return false
  return now - Date.parse(before.lastTransitionTime) < REPEATED_MS
}
