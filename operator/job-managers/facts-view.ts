import type { ErrorData } from '#runtime/base/errors'
import type { JobManagerAddress } from '#runtime/contract/job-manager-client'
import { isFinal, type JobFacts, type WaitView } from '#runtime/contract/rest'
import { lastingWaits } from './lasting-waits.ts'

/** A JobManager that does not answer the operator, or refuses it. */
export interface Unreachable {
  readonly pod: string
  /** The error of the last attempt. */
  readonly message: string
  /** Milliseconds since the first failure after its last answer. */
  readonly forMs: number
}

/** What is known of one job from its JobManagers; plain data. */
export interface FactsView {
  /**
   * Of the leader. Without one: of any JobManager, if all that answer say that the run is over or
   * cannot begin.
   */
  readonly facts: JobFacts | undefined
  readonly leader: { readonly pod: string; readonly address: JobManagerAddress } | undefined
  /** While nobody leads: what keeps a JobManager from leading, as it says itself. */
  readonly obstacle: ErrorData | undefined
  /** While nobody leads: the JobManagers that the operator cannot reach, and why. */
  readonly unreachable: readonly Unreachable[]
  /** Whether any JobManager of the current pods has ever answered. */
  readonly hasAnswered: boolean
  /**
   * Milliseconds since a leader was seen last, or since the job is watched; 0 while there is one.
   */
  readonly leaderlessMs: number
}

/** A job that is not watched yet. */
export const NOTHING_KNOWN: FactsView = {
  facts: undefined,
  leader: undefined,
  obstacle: undefined,
  unreachable: [],
  hasAnswered: false,
  leaderlessMs: 0,
}

/** Newest facts of a JobManager; undefined while it does not answer. */
export interface Source {
  readonly pod: string
  readonly address: JobManagerAddress
  readonly facts: JobFacts | undefined
}

/** Of several that believe they lead, the one with the highest epoch does. */
export function leaderOf<S extends Source>(sources: Iterable<S>): S | undefined {
  let best: S | undefined
  for (const source of sources)
    if (source.facts?.leading === true && source.facts.epoch > (best?.facts?.epoch ?? -1)) best = source
  return best
}

/**
 * What JobManagers that do not lead agree on: a run that is over stays over, and a module that
 * cannot be loaded never leads.
 */
export function verdictOf(sources: Iterable<Source>): JobFacts | undefined {
  const facts = [...sources].flatMap((s) => s.facts ?? [])
  return facts.every((f) => isFinal(f.state)) ? facts[0] : undefined
}

export function obstacleOf(sources: Iterable<Source>): ErrorData | undefined {
  return [...sources].flatMap((s) => s.facts?.error ?? [])[0]
}

/** Facts and when they came, wall clock. */
export interface Heard {
  readonly facts: JobFacts
  readonly at: number
}

/**
 * How soon a change matters: at once; later, for a further completed checkpoint; never, for
 * counters.
 */
export function urgencyOf(before: Heard | undefined, now: Heard): 'now' | 'later' | 'never' {
  if (before === undefined || significance(before) !== significance(now)) return 'now'
  return before.facts.checkpoint.last?.id === now.facts.checkpoint.last?.id ? 'never' : 'later'
}

/** The part of the facts whose change matters at once, as text. */
function significance({ facts, at }: Heard): string {
  const { version, run, leading, leader, epoch, attempt, state, message, error } = facts
  const { restarts, parallelism, restoredFrom, checkpoint, operations, recoveries, skipped } = facts
  return JSON.stringify([
    [version, run, leading, leader, epoch, attempt, state, message, error?.message],
    [restarts, parallelism, restoredFrom],
    [skipped.skippedCommits, skipped.leftPending, skipped.lateDropped > 0, skipped.badRecords > 0],
    lastingWaits(facts.waits, at).map(significanceOfWait),
    [checkpoint.consecutiveFailures, checkpoint.last === undefined],
    operations.map((o) => [o.triggerId, o.status]),
    [recoveries[0]?.at, recoveries[0]?.firstRecordMs],
  ])
}

/** What a slow store or checkpoint is waiting for in detail may change with every look at it. */
const significanceOfWait = ({ kind, message }: WaitView): string =>
  kind === 'store' || kind === 'checkpoint' ? kind : `${kind}: ${message}`
