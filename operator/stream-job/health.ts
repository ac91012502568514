import type { ConditionValue } from '#operator/api/conditions'
import type { Drift } from '#operator/resources/resolved'
import type { Observed } from './observed.ts'
import { activeRun, isPaused, textOfUnreachable, unreachableJobManager } from './run-state.ts'
import type { View } from './view.ts'
import { waiting } from './waiting.ts'

/** Conditions that speak of the running job and of what it runs on. */
export function healthConditions(view: View): ConditionValue[] {
  return [
    checkpointHealthy(view),
    coordinatorElected(view),
    waiting(view.o, view.waits, view.facts === undefined ? notHeard(view.o) : undefined),
    runtimeOutdated(view),
    defaultsOutdated(view),
    scaleLimited(view),
    reconciliationPaused(view),
  ]
}

function checkpointHealthy({ o, facts }: View): ConditionValue {
  const type = 'CheckpointHealthy'
  if (activeRun(o) === undefined)
    return { type, status: 'Unknown', reason: 'NotRunning', message: 'The job does not run.' }
  if (facts === undefined) return { type, status: 'Unknown', ...notHeard(o) }
  const { checkpoint } = facts
  if (checkpoint.consecutiveFailures > 0) {
    const { lastFailure: last, consecutiveFailures } = checkpoint
    const what = last === undefined ? '' : ` Checkpoint ${last.id}: ${last.reason}: ${last.message}`
    const message = `${consecutiveFailures} failed in a row.${what}`
    return { type, status: 'False', reason: 'CheckpointsFailing', message }
  }
  if (checkpoint.last !== undefined)
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

/** Why nothing is known of a run from its leader. */
function notHeard(o: Observed): Pick<ConditionValue, 'reason' | 'message'> {
  const lost = unreachableJobManager(o)
  return lost === undefined
    ? { reason: 'NoLeader', message: 'No JobManager leads at the moment.' }
    : { reason: 'JobManagerUnreachable', message: `Not known: ${textOfUnreachable(lost)}.` }
}

function coordinatorElected({ o, facts }: View): ConditionValue {
  const type = 'CoordinatorElected'
  if (activeRun(o) === undefined)
    return { type, status: 'False', reason: 'NotRunning', message: 'The job does not run.' }
  if (facts === undefined || o.facts.leader === undefined) {
    const why = notHeard(o)
    return { type, status: why.reason === 'NoLeader' ? 'False' : 'Unknown', ...why }
  }
  return {
    type,
    status: 'True',
    reason: 'LeaderElected',
    message: `${o.facts.leader.pod} leads in epoch ${facts.epoch}.`,
  }
}

function runtimeOutdated({ o }: View): ConditionValue {
  const type = 'RuntimeOutdated'
  const { image } = o.status
  const isDefault = activeRun(o) !== undefined && o.spec.image === undefined && image !== undefined
  return isDefault && image !== o.defaultImage
    ? {
        type,
        status: 'True',
        reason: 'DefaultImageChanged',
        message: `The run has image ${image}; the next one takes ${o.defaultImage}.`,
      }
    : {
        type,
        status: 'False',
        reason: 'UpToDate',
        message: 'The run has the image that a new one would have.',
      }
}

const TO_MOVE =
  'To move it, set spec.storage and, in spec.restore, what to start from there. ' +
  'To settle it, set spec.storage to what status.resolved.storage has.'

function defaultsOutdated({ o }: View): ConditionValue {
  const type = 'DefaultsOutdated'
  const isStorage = o.drifts.some((d) => d.of === 'storage')
  const felt = o.drifts.filter((d) => d.of === 'storage' || activeRun(o) !== undefined)
  if (felt.length === 0)
    return { type, status: 'False', reason: 'UpToDate', message: 'The job uses the defaults of now.' }
  return {
    type,
    status: 'True',
    reason: isStorage ? 'DefaultStorageChanged' : 'DefaultRedisChanged',
    message: felt.map(textOfDrift).join(' '),
  }
}

function textOfDrift({ of, used, now = 'unset' }: Drift): string {
  return of === 'storage'
    ? `The files of the job stay in ${used}; the operator's default storage is now ${now}. ${TO_MOVE}`
    : `The run elects by Redis ${used}; the next run takes the operator's default, now ${now}.`
}

function reconciliationPaused({ o }: View): ConditionValue {
  const type = 'ReconciliationPaused'
  if (isPaused(o)) {
    const message = 'The operator changes nothing of the job: annotation weir.dev/reconcile is Disabled.'
    return { type, status: 'True', reason: 'ReconciliationPaused', message }
  }
  if (o.reconcile === undefined || o.reconcile === 'Enabled')
    return {
      type,
      status: 'False',
      reason: 'ReconciliationEnabled',
      message: 'The operator looks after the job.',
    }
  const value = JSON.stringify(o.reconcile.slice(0, 100))
  const message = `Annotation weir.dev/reconcile is ${value}, neither Disabled nor Enabled: it is ignored.`
  return { type, status: 'Unknown', reason: 'AnnotationUnknown', message }
}

function scaleLimited({ o: { scaleLimit, spec } }: View): ConditionValue {
  const type = 'ScaleLimited'
  if (scaleLimit === undefined) {
    const message = 'The job may have the TaskManagers that are asked for.'
    return { type, status: 'False', reason: 'ScaleAsAsked', message }
  }
  const { asked, granted } = scaleLimit
  const { taskManager, maxParallelism } = spec
  const message =
    `taskManager.replicas is ${asked}; by maxParallelism ${maxParallelism} there is work for ${granted} ` +
    `(slots: ${taskManager.slots}), and no more are made.`
  return { type, status: 'True', reason: 'ScaleLimited', message }
}
