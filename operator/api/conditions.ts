/**
 * Types and reasons of conditions: constants, one sentence each; the same words appear in
 * conditions, events and logs.
 */
import type { Condition } from './schema.ts'

export const CONDITION_TYPES = {
  Ready: 'The object is as its spec asks.',
  Reconciling: 'The operator is still working towards the spec.',
  Stalled: 'The operator cannot get further without a change by somebody.',
  Complete: 'The job has ended and will do nothing more.',
  CheckpointHealthy: 'Checkpoints complete.',
  CoordinatorElected: 'A JobManager leads.',
  Waiting: 'The job waits for something that it cannot go on without; status.waits has what, and since when.',
  RuntimeOutdated: "The pods run another image than the operator's default; the next run takes the new one.",
  DefaultsOutdated: "The job uses a storage or a Redis that is not the operator's default any more.",
  ReconciliationPaused: 'The operator leaves the job alone, as annotation weir.dev/reconcile asks.',
  ScaleLimited: 'More TaskManagers are asked for than maxParallelism leaves work for.',
} as const
export type ConditionType = keyof typeof CONDITION_TYPES

/** Conditions of a job that may well run, whose coming its owner should know of. */
export const NOTICES = [
  'DefaultsOutdated',
  'ScaleLimited',
  'ReconciliationPaused',
] as const satisfies ConditionType[]

export const REASONS = {
  Pending: 'The operator has not looked at the object yet.',
  Running: 'The job processes records.',
  Suspended: 'The job is stopped as spec.state asks and continues where it was.',
  Drained: 'The job was drained as spec.state asks.',
  Finished: 'All sources of the job have ended.',
  Starting: 'The pods of the run are being made, or the job is being deployed to them.',
  WaitingForSlots: 'The job waits for TaskManagers.',
  Restarting: 'The job failed and is being restarted.',
  Checking: 'The next run is checked, in a pod of its own, before the one under way is stopped.',
  UpgradeRefused:
    'The next run was checked and would fail; the one under way goes on as it was. The message says why.',
  CheckSkipped: 'The next run could not be checked before the one under way was stopped.',
  Stopping: 'The run is being stopped for the next one, or because spec.state asks.',
  JobFailed: 'The job failed and is not restarted any more.',
  SpecInvalid: 'The spec of the stored object does not fit the schema of this operator.',
  ModuleNotFound: 'The ConfigMap with the source of the job, or its key, does not exist.',
  StorageMissing: 'Neither the spec nor the defaults of the operator name a storage.',
  StorageChanged:
    'The spec names another storage than the one that has the files of the job, ' +
    'and no restore that says what to start from there.',
  RedisMissing:
    'More than one JobManager is asked for, and neither the spec nor the defaults of the operator ' +
    'name a Redis.',
  CredentialsMissing:
    'The Secret that the defaults of the operator name, or one of its keys, does not exist.',
  RestoreNotReady:
    'The Savepoint to restore from does not exist or is not Ready, ' +
    'or the job whose checkpoint it is has no leader to keep it.',
  RestoreImpossible:
    'What to restore from does not fit the job, or is a checkpoint that its job does not retain.',
  PodTemplateInvalid: 'The API server refused the pods that podTemplate leads to.',
  ObjectRefused: 'The API server, or an admission policy, refused an object; the message has its words.',
  PermissionMissing: "The operator's service account may not do what it has to do.",
  NamespaceTerminating: 'The namespace is being deleted, so nothing can be made in it.',
  ReconcileFailed: 'The operator failed several times in a row; the message has the last error.',
  NameTaken: 'An object with a name that the operator needs exists and belongs to somebody else.',
  QuotaExceeded: 'A quota of the namespace refused an object.',
  ImagePullFailed: 'The image of a pod cannot be pulled.',
  ContainerFailing: 'A container of the job keeps ending with an error.',
  OutOfMemory: 'A container of the job was killed because it used more memory than its limit.',
  Unschedulable: 'No node has room for a pod of the job.',
  ContainerConfigInvalid: 'A container cannot be created from its configuration.',
  MountFailed: 'A pod waits for its volumes or its network; mostly a Secret or ConfigMap is missing.',
  DeadlineExceeded: 'The job was not ready within spec.upgrade.deadline.',
  StopTimedOut: 'The run did not stop in time; the next one continues from the last completed checkpoint.',
  StopFailed:
    'The run could not be stopped with a checkpoint or savepoint; ' +
    'the next one continues from the last completed checkpoint.',
  StopSkipped:
    'The run was not running or could not be asked, so it was ended without a new checkpoint or savepoint; ' +
    'the next one continues from the last completed checkpoint.',
  TokenLost:
    "The operator's key has changed, so it could not ask the run to stop; " +
    'the next one continues from the last completed checkpoint.',
  SavepointMissing:
    'A run that was to be stopped with a savepoint has ended, and no JobManager says that one was completed.',
  StopRefused: 'A JobManager did not take the request to stop; it is asked again.',
  RunStarted: 'A new run was begun.',
  RunEnded: 'A run has ended.',
  SourceNotAsked:
    'The job whose checkpoint is started from was not asked to keep it, ' +
    'as the operator hears no leader of it.',
  RestoreApplied: 'The restore block was applied and will not act again until it changes.',
  OutputLeft: 'A fork has left prepared output to the job that it started from.',
  CommitsSkipped: 'Output that was committed before is gone and was not committed again.',
  Recovered: 'The job came back after a failure.',
  JobManagerUnreachable: 'A JobManager lives and the operator cannot reach it: the job may well run.',
  NoLeader: 'No JobManager leads at the moment.',
  LeaderElected: 'A JobManager leads.',
  StoreSlow: 'The store has not answered for a second or more.',
  WaitingForStore: 'The store cannot be written, or does not answer, for more than 10 seconds.',
  WaitingForCheckpoint: 'Subtasks have not done their part of a checkpoint for more than 10 seconds.',
  WaitingForCode: "A call of the job's code does not return.",
  WaitingForSource: 'A source watches a place where nothing is.',
  NotWaiting: 'The job waits for nothing.',
  WaitOver:
    'The last wait has ended. One that begins within a minute of that ' +
    'is written when it has lasted 10 seconds.',
  RecordsDropped:
    'The running attempt has left out records: late ones, or some that a source could not read.',
  CheckpointsCompleting: 'The last checkpoint completed.',
  CheckpointsFailing: 'The last checkpoint failed.',
  NoCheckpointYet: 'No checkpoint has completed or failed in this run yet.',
  NotRunning: 'The job does not run.',
  UpToDate: 'Nothing is left to do.',
  DefaultImageChanged: "The operator's default image is newer than the one of the run.",
  DefaultStorageChanged: "The operator's default storage is not the one that has the files of the job.",
  DefaultRedisChanged: "The operator's default Redis is not the one of the run.",
  ReconciliationPaused: 'Annotation weir.dev/reconcile is Disabled: the operator changes nothing of the job.',
  ReconciliationEnabled: 'The operator looks after the job.',
  AnnotationUnknown: 'Annotation weir.dev/reconcile is neither Disabled nor Enabled, and is ignored.',
  ScaleLimited:
    'The job has as many TaskManagers as maxParallelism leaves work for, and not those asked for.',
  ScaleAsAsked: 'The job may have the TaskManagers that are asked for.',
  RestartIgnored: 'A restart was asked for while spec.state is not Running.',
  ScaleIgnored: 'The job has ended, so another number of TaskManagers acts when it runs again.',
  Progressing: 'Nothing stands in the way.',
  JobNotFound: 'The StreamJob that spec.streamJobRef names does not exist.',
  JobNotRunning: 'The StreamJob does not run yet, so no savepoint can be taken now.',
  JobSuspended: 'The StreamJob is suspended; a savepoint is taken when it runs again.',
  JobEnded: 'The StreamJob has ended, so no savepoint can be taken of it.',
  InProgress: 'The savepoint is being taken.',
  Completed: 'The savepoint is complete.',
  NotVerified:
    'The path of an import was recorded. The operator cannot read it; ' +
    'it is checked when a job is restored from it.',
  Imported: 'A job was restored from the path.',
  Retrying: 'An attempt failed and another one follows.',
  BackoffLimitExceeded: 'As many attempts as spec.backoffLimit allows have failed.',
} as const
export type Reason = keyof typeof REASONS
export const isReason = (text: string | undefined): text is Reason =>
  text !== undefined && Object.hasOwn(REASONS, text)

export interface ConditionValue {
  readonly type: ConditionType
  readonly status: 'True' | 'False' | 'Unknown'
  readonly reason: Reason
  readonly message: string
}

/** Conditions of an object that the operator does not bring any further at the moment. */
export function standstill(reason: Reason, message: string, needsUser: boolean): ConditionValue[] {
  const upToDate = { reason: 'UpToDate', message: 'Nothing is left to do.' } as const
  const progressing = { reason: 'Progressing', message: 'Nothing stands in the way.' } as const
  return [
    { type: 'Ready', status: 'False', reason, message },
    needsUser
      ? { type: 'Reconciling', status: 'False', ...upToDate }
      : { type: 'Reconciling', status: 'True', reason, message },
    needsUser
      ? { type: 'Stalled', status: 'True', reason, message }
      : { type: 'Stalled', status: 'False', ...progressing },
  ]
}

const MESSAGE_LIMIT = 2048

/**
 * Conditions with `values` set: lastTransitionTime moves only where the status changes, types that
 * are not given are kept. Pure.
 */
export function mergeConditions(
  existing: readonly Condition[] | undefined,
  values: readonly ConditionValue[],
  observedGeneration: number,
  now: string,
): Condition[] {
  const before = new Map((existing ?? []).map((c) => [c.type, c]))
  const merged = values.map((value): Condition => {
    const old = before.get(value.type)
    before.delete(value.type)
    const message =
      value.message.length > MESSAGE_LIMIT ? `${value.message.slice(0, MESSAGE_LIMIT - 1)}…` : value.message
    return {
      ...value,
      message,
      observedGeneration,
      lastTransitionTime: old !== undefined && old.status === value.status ? old.lastTransitionTime : now,
    }
  })
  return [...merged, ...before.values()]
}

export function findCondition(
  existing: readonly Condition[] | undefined,
  type: ConditionType,
): Condition | undefined {
  return existing?.find((c) => c.type === type)
}
