/**
 * The status of a StreamJob as a function of what was observed and planned. Pure. Conditions and
 * states are written at once; `lastCheckpoint` at most every 30 s unless the health of checkpoints
 * changes or the run has ended, so that a short interval does not become load on the API server.
 */
import { formatDuration } from '#runtime/base/units'
import type { JobFacts } from '#runtime/contract/rest'
import { compact, type Loose } from '#operator/api/compact'
import { type ConditionType, findCondition, mergeConditions } from '#operator/api/conditions'
import type { StreamJobStatus } from '#operator/api/v1alpha1/stream-job-status'
import { componentSelector, selectorText } from '#operator/resources/labels'
import { healthConditions } from './health.ts'
import type { Blocker, Observed } from './observed.ts'
import { phaseOf } from './phase.ts'
import type { Plan } from './plan.ts'
import { readyConditions } from './ready.ts'
import { activeRun, currentFacts, LEADER_GRACE_MS, UNREACHABLE_GRACE_MS } from './run-state.ts'
import { isUnknownYet, type View } from './view.ts'
import { waitsOf } from './waiting.ts'

const CHECKPOINT_REFRESH_MS = 30_000

/** `problem`: what the API server refused while the plan was carried out. */
export function streamJobStatus(o: Observed, plan: Plan, problem: Blocker | undefined): StreamJobStatus {
  const facts = currentFacts(o)
  const now = new Date(o.now).toISOString()
  const isUnknown = isUnknownYet(o)
  const waits = isUnknown ? o.status.waits : waitsOf(o)
  const view: View = { o, plan, facts, waits, problem: problem ?? plan.blocker }
  const conditions = isUnknown
    ? [...(o.status.conditions ?? [])]
    : mergeConditions(
        o.status.conditions,
        [...readyConditions(view), ...healthConditions(view)],
        o.generation,
        now,
      )
  return compact<StreamJobStatus>({
    ...o.status,
    observedGeneration: o.generation,
    conditions,
    phase: phaseOf(view),
    storagePath: facts?.storagePath ?? o.storageUrl,
    replicas: o.taskManagerPodCount,
    waits,
    selector: selectorText(componentSelector(o.job.name, 'task-manager')),
    lastSavepoint: o.lastSavepoint ?? o.status.lastSavepoint,
    ...(activeRun(o) === undefined ? { leader: undefined, parallelism: undefined } : {}),
    ...(facts === undefined ? {} : fromFacts(o, facts, conditions)),
  })
}

/**
 * Milliseconds until a checkpoint that is held back now may be written; undefined where none is.
 */
export function checkpointRefreshIn(o: Observed, written: StreamJobStatus): number | undefined {
  const last = currentFacts(o)?.checkpoint.last
  if (last === undefined || written.lastCheckpoint === undefined || written.lastCheckpoint.id === last.id)
    return undefined
  return Math.max(1000, CHECKPOINT_REFRESH_MS - (o.now - Date.parse(written.lastCheckpoint.completedAt)))
}

const NOT_READY_LOOK_MS = 15_000
const STALLED_LOOK_MS = 60_000

/**
 * Milliseconds until a run that is not ready, or was not heard yet, is looked at again, as time
 * alone may say more of it: a deadline passes, a pod waits for too long. Undefined where nothing is
 * awaited.
 */
export function notReadyLookIn(o: Observed, written: StreamJobStatus): number | undefined {
  if (isUnknownYet(o)) return o.facts.hasAnswered ? UNREACHABLE_GRACE_MS : LEADER_GRACE_MS
  const isTrue = (type: ConditionType) => findCondition(written.conditions, type)?.status === 'True'
  if (activeRun(o) === undefined || isTrue('Ready')) return undefined
  return isTrue('Stalled') ? STALLED_LOOK_MS : NOT_READY_LOOK_MS
}

function fromFacts(
  o: Observed,
  facts: JobFacts,
  conditions: StreamJobStatus['conditions'],
): Loose<StreamJobStatus> {
  const last = lastCheckpoint(o, facts, conditions)
  return {
    attempt: facts.attempt,
    runtimeVersion: facts.version,
    restoredFrom: facts.restoredFrom ?? o.status.restoredFrom,
    parallelism: facts.parallelism,
    leader: o.facts.leader?.pod,
    restarts: facts.restarts,
    lastCheckpoint: last,
    skipped: skipped(o, facts, last !== o.status.lastCheckpoint),
    recoveries: withEarlier(
      o.status.recoveries ?? [],
      facts.recoveries.map((r) => ({
        at: new Date(r.at).toISOString(),
        cause: r.cause.slice(0, 1000),
        ...(r.checkpointId === undefined ? {} : { checkpointId: r.checkpointId }),
        detectMs: whole(r.detectMs),
        electMs: whole(r.electMs),
        scheduleMs: whole(r.scheduleMs),
        restoreMs: whole(r.restoreMs),
        ...(r.firstRecordMs === undefined ? {} : { firstRecordMs: whole(r.firstRecordMs) }),
      })),
    ),
  }
}

/**
 * Counts of records grow all the time, so they wait for a checkpoint that is written anyway; that
 * there are any does not.
 */
function skipped(o: Observed, facts: JobFacts, isRefreshed: boolean): StreamJobStatus['skipped'] {
  const { lateDropped, badRecords, skippedCommits, leftPending } = facts.skipped
  const written = o.status.skipped
  const isSome = (n: number | undefined) => (n ?? 0) > 0
  const isNews =
    isSome(lateDropped) !== isSome(written?.lateDropped) || isSome(badRecords) !== isSome(written?.badRecords)
  const records =
    written === undefined || isNews || isRefreshed
      ? { lateDropped, badRecords }
      : { lateDropped: written.lateDropped, badRecords: written.badRecords }
  const counts = { ...records, skippedCommits, leftPending }
  return Object.values(counts).every((n) => n === 0) ? undefined : counts
}

type Recovery = NonNullable<StreamJobStatus['recoveries']>[number]

/**
 * A JobManager knows the recoveries of its own time; those that it took over from others stay in
 * the history.
 */
function withEarlier(written: readonly Recovery[], known: readonly Recovery[]): Recovery[] {
  const earlier = written.filter((r) => !known.some((k) => k.at === r.at))
  return [...known, ...earlier].sort((a, b) => Date.parse(b.at) - Date.parse(a.at)).slice(0, 10)
}

const whole = (n: number): number => Math.max(0, Math.round(n))

function lastCheckpoint(
  o: Observed,
  facts: JobFacts,
  conditions: StreamJobStatus['conditions'],
): StreamJobStatus['lastCheckpoint'] {
  const { last } = facts.checkpoint
  const written = o.status.lastCheckpoint
  if (last === undefined) return written
  const health = (from: StreamJobStatus['conditions']) => findCondition(from, 'CheckpointHealthy')?.status
  const isHeldBack =
    written !== undefined &&
    o.now - Date.parse(written.completedAt) < CHECKPOINT_REFRESH_MS &&
    health(conditions) === health(o.status.conditions) &&
    activeRun(o) !== undefined
  if (isHeldBack) return written
  return {
    id: last.id,
    completedAt: new Date(last.completedAt).toISOString(),
    path: last.path,
    sizeBytes: last.sizeBytes,
    duration: formatDuration(last.durationMs),
  }
}
