import { formatDuration } from '#runtime/base/units'
import type { JobFacts } from '#runtime/contract/rest'
import { findCondition, mergeConditions, type ConditionValue, type Reason } from '#operator/api/conditions'
import type { StreamJobStatus } from '#operator/api/v1alpha1/stream-job'
import { componentSelector, selectorText } from '#operator/resources/labels'
import { activeRun, currentFacts, LEADER_GRACE_MS, type Plan } from './decide.ts'
import type { Blocker, Observed } from './observed.ts'

/**
 * The status of a StreamJob as a function of what was observed and planned. Pure. Conditions and
 * states are written at once; `lastCheckpoint` at most every 30 s unless the health of checkpoints
 * changes or the run has ended, so that a short interval does not become load on the API server.
 */
export const CHECKPOINT_REFRESH_MS = 30_000

export function streamJobStatus(o: Observed, plan: Plan, problem: Blocker | undefined): StreamJobStatus {
  const facts = currentFacts(o)
  const now = new Date(o.now).toISOString()
  const view = { o, plan, facts, problem: problem ?? plan.blocker }
  const conditions = isUnknownYet(o)
    ? [...(o.status.conditions ?? [])]
    : mergeConditions(o.status.conditions, conditionValues(view), o.generation, now)
  return compact({
    ...o.status,
    observedGeneration: o.generation,
    conditions,
    phase: phaseOf(view),
    storagePath: facts?.storagePath ?? o.storageUrl,
    replicas: o.taskManagerPodCount,
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

interface View {
  readonly o: Observed
  readonly plan: Plan
  readonly facts: JobFacts | undefined
  readonly problem: Blocker | undefined
}

/**
 * After the operator's own start the streams need a moment: until then what was written last is the
 * best that is known.
 */
function isUnknownYet(o: Observed): boolean {
  return (
    activeRun(o) !== undefined &&
    !o.facts.answered &&
    o.jobManagerPods.some((p) => p.hasAddress) &&
    o.facts.leaderlessMs < LEADER_GRACE_MS &&
    o.podProblem === undefined &&
    o.status.observedGeneration === o.generation &&
    findCondition(o.status.conditions, 'Ready')?.status === 'True'
  )
}

function fromFacts(o: Observed, facts: JobFacts, conditions: StreamJobStatus['conditions']): StreamJobStatus {
  return {
    attempt: facts.attempt,
    runtimeVersion: facts.version,
    restoredFrom: facts.restoredFrom ?? o.status.restoredFrom,
    parallelism: facts.parallelism,
    leader: o.facts.leader?.pod,
    restarts: facts.restarts,
    lastCheckpoint: lastCheckpoint(o, facts, conditions),
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
  } as StreamJobStatus
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

function phaseOf({ o, plan, facts }: View): NonNullable<StreamJobStatus['phase']> {
  const outcome = o.status.run?.outcome
  switch (outcome) {
    case 'Finished':
    case 'Drained':
    case 'Failed':
      return plan.policy === 'beginRun' && plan.blocker === undefined ? 'Upgrading' : outcome
    case 'Suspended':
    case 'Superseded':
      return o.spec.state === 'Suspended' ? 'Suspended' : 'Upgrading'
    case undefined:
      break
  }
  if (o.status.run === undefined) return o.spec.state === 'Suspended' ? 'Suspended' : 'Starting'
  if (plan.policy === 'stopRun' && o.spec.state === 'Running') return 'Upgrading'
  if (isUnknownYet(o)) return o.status.phase ?? 'Starting'
  switch (facts?.state) {
    case 'Running':
    case 'Stopping':
      return 'Running'
    case 'Restarting':
      return 'Restarting'
    default:
      return o.status.phase === 'Running' || o.status.phase === 'Restarting' || (facts?.restarts ?? 0) > 0
        ? 'Restarting'
        : 'Starting'
  }
}

interface Summary {
  readonly status: 'True' | 'False'
  readonly reason: Reason
  readonly message: string
  /** Somebody has to change something. */
  readonly isStalled?: boolean
  readonly isComplete?: boolean
}

function conditionValues(view: View): ConditionValue[] {
  const ready = summary(view)
  const isWorking = ready.status === 'False' && ready.isStalled !== true
  return [
    { type: 'Ready', status: ready.status, reason: ready.reason, message: ready.message },
    isWorking
      ? { type: 'Reconciling', status: 'True', reason: ready.reason, message: ready.message }
      : { type: 'Reconciling', status: 'False', reason: 'UpToDate', message: 'Nothing is left to do.' },
    ready.isStalled === true
      ? { type: 'Stalled', status: 'True', reason: ready.reason, message: ready.message }
      : { type: 'Stalled', status: 'False', reason: 'Progressing', message: 'Nothing stands in the way.' },
    {
      type: 'Complete',
      status: ready.isComplete === true ? 'True' : 'False',
      reason: ready.reason,
      message: ready.isComplete === true ? ready.message : 'The job has not ended.',
    },
    checkpointHealthy(view),
    coordinatorElected(view),
    runtimeOutdated(view),
  ]
}

function summary({ o, plan, facts, problem }: View): Summary {
  const run = o.status.run
  if (problem !== undefined)
    return { status: 'False', reason: problem.reason, message: problem.message, isStalled: problem.needsUser }
  const said = run?.outcomeMessage ?? ''
  if (plan.policy === 'beginRun')
    return { status: 'False', reason: 'Starting', message: `Run ${o.status.runId ?? ''} is being made.` }
  switch (run?.outcome) {
    case 'Finished':
      return {
        status: 'True',
        reason: 'Finished',
        message: said || 'All sources have ended.',
        isComplete: true,
      }
    case 'Drained':
      return { status: 'True', reason: 'Drained', message: said || 'The job was drained.', isComplete: true }
    case 'Failed':
      return { status: 'False', reason: 'JobFailed', message: said || 'The job failed.', isStalled: true }
    case 'Suspended':
    case 'Superseded':
      return o.spec.state === 'Suspended'
        ? { status: 'True', reason: 'Suspended', message: said || 'The job is suspended.' }
        : { status: 'False', reason: 'Starting', message: 'The next run is being made.' }
    case undefined:
      break
  }
  if (run === undefined) return withoutRun(o)
  if (plan.policy === 'stopRun')
    return { status: 'False', reason: 'Stopping', message: capital(plan.because) }
  if (o.spec.state !== 'Running')
    return { status: 'False', reason: 'Stopping', message: capital(plan.because) }
  return running(o, facts)
}

function withoutRun(o: Observed): Summary {
  if (o.spec.state === 'Suspended')
    return { status: 'True', reason: 'Suspended', message: 'The job has never run.' }
  if (o.spec.state === 'Drained')
    return {
      status: 'True',
      reason: 'Drained',
      message: 'The job has never run, so there is nothing to drain.',
      isComplete: true,
    }
  return { status: 'False', reason: 'Starting', message: 'The first run is being made.' }
}

function running(o: Observed, facts: JobFacts | undefined): Summary {
  if (facts?.state === 'Running')
    return {
      status: 'True',
      reason: 'Running',
      message: `Runs with parallelism ${facts.parallelism} on ${facts.taskManagers} TaskManager${facts.taskManagers === 1 ? '' : 's'}.`,
    }
  if (o.podProblem !== undefined)
    return { status: 'False', reason: o.podProblem.reason, message: o.podProblem.message }
  if (facts === undefined) {
    const wasRunning = o.status.phase === 'Running' || o.status.phase === 'Restarting'
    return wasRunning
      ? { status: 'False', reason: 'NoLeader', message: 'No JobManager leads at the moment.' }
      : { status: 'False', reason: 'Starting', message: 'Waiting for a JobManager to lead.' }
  }
  const message = facts.error === undefined ? facts.message : `${facts.message} (${facts.error.message})`
  const reason: Reason =
    facts.state === 'WaitingForSlots'
      ? 'WaitingForSlots'
      : facts.state === 'Restarting'
        ? 'Restarting'
        : 'Starting'
  return { status: 'False', reason, message: message === '' ? `The job is ${facts.state}.` : message }
}

function checkpointHealthy({ o, facts }: View): ConditionValue {
  const type = 'CheckpointHealthy'
  if (activeRun(o) === undefined)
    return { type, status: 'Unknown', reason: 'NotRunning', message: 'The job does not run.' }
  const checkpoint = facts?.checkpoint
  if (checkpoint !== undefined && checkpoint.consecutiveFailures > 0) {
    const { lastFailure } = checkpoint
    const what =
      lastFailure === undefined
        ? ''
        : ` Checkpoint ${lastFailure.id}: ${lastFailure.reason}: ${lastFailure.message}`
    return {
      type,
      status: 'False',
      reason: 'CheckpointsFailing',
      message: `${checkpoint.consecutiveFailures} failed in a row.${what}`,
    }
  }
  if (checkpoint?.last !== undefined)
    return {
      type,
      status: 'True',
      reason: 'CheckpointsCompleting',
      message: 'The last checkpoint completed.',
    }
  return {
    type,
    status: 'Unknown',
    reason: 'NoCheckpointYet',
    message: 'No checkpoint has completed or failed in this run yet.',
  }
}

function coordinatorElected({ o, facts }: View): ConditionValue {
  const type = 'CoordinatorElected'
  if (activeRun(o) === undefined)
    return { type, status: 'False', reason: 'NotRunning', message: 'The job does not run.' }
  if (facts === undefined || o.facts.leader === undefined)
    return { type, status: 'False', reason: 'NoLeader', message: 'No JobManager leads at the moment.' }
  return {
    type,
    status: 'True',
    reason: 'LeaderElected',
    message: `${o.facts.leader.pod} leads in epoch ${facts.epoch}.`,
  }
}

function runtimeOutdated({ o }: View): ConditionValue {
  const type = 'RuntimeOutdated'
  const image = o.status.image
  if (
    activeRun(o) !== undefined &&
    o.spec.image === undefined &&
    image !== undefined &&
    image !== o.defaultImage
  )
    return {
      type,
      status: 'True',
      reason: 'DefaultImageChanged',
      message: `The run has image ${image}; the next one takes ${o.defaultImage}.`,
    }
  return {
    type,
    status: 'False',
    reason: 'UpToDate',
    message: 'The run has the image that a new one would have.',
  }
}

const capital = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`

/** Without fields that are undefined, as the API server would drop them. */
function compact(status: object): StreamJobStatus {
  return Object.fromEntries(
    Object.entries(status).filter(([, value]) => value !== undefined),
  ) as StreamJobStatus
}
