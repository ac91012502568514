import type { Reason } from '#operator/api/conditions'
import type { Advice } from './advice.ts'
import { POD_AND_API_ADVICE } from './pod-and-api-advice.ts'
import { SAVEPOINT_ADVICE } from './savepoint-advice.ts'

const USUAL: Advice = { why: 'The ordinary course of things.', todo: 'Nothing.' }

/** Reasons that say how a job or an object stands. */
const STATE_ADVICE = {
  Pending: {
    why: 'The object was made a moment ago.',
    todo:
      'Wait. If it lasts for a minute, no operator acts or it does not watch this namespace: ' +
      '`kubectl -n weir-system get pods,lease`, `watchNamespaces` of the chart.',
    page: 'operator-lost',
  },
  Running: USUAL,
  Suspended: { why: '`spec.state` is Suspended.', todo: 'To continue, `spec.state: Running`.' },
  Drained: { why: '`spec.state` is Drained.', todo: 'Nothing; `spec.state: Running` begins another run.' },
  Finished: { why: 'Every source has an end.', todo: 'Nothing; `kubectl weir restart NAME` runs it again.' },
  Starting: {
    why: 'A first run, an upgrade, a restart that was asked for, or a resume.',
    todo: 'Wait; after `upgrade.deadline` (5m) Stalled says what is in the way.',
  },
  WaitingForSlots: {
    why: 'TaskManagers start, were lost, or are too few for the parallelism.',
    todo:
      'Wait for pods that start. If none are missing: more `taskManager.replicas` or `slots`, or less ' +
      '`parallelism`.',
    page: 'task-manager-lost',
  },
  Checking: {
    why: 'The spec has changed while the job runs.',
    todo: 'Wait; it takes as long as a pod takes to start. The run under way goes on.',
    page: 'bad-upgrade',
  },
  UpgradeRefused: {
    why: 'The new code cannot be planned, or the state or savepoint does not fit it.',
    todo:
      'Mend what the message names and apply the spec, or apply the former one. Where the cause was ' +
      'elsewhere: `kubectl weir restart NAME` has it checked again.',
    page: 'bad-upgrade',
  },
  CheckSkipped: {
    why: 'The pod that checks found no room, a quota refused it, or it ended with an error of its own.',
    todo: 'Nothing, if the next run gets Ready; else see its reason.',
    page: 'bad-upgrade',
  },
  StoreSlow: {
    why: 'The network or the store is overloaded, or it is away for a moment.',
    todo: 'Nothing, as long as it passes.',
    page: 'store-down',
  },
  WaitingForStore: {
    why: 'The store is full, refuses writes, or cannot be reached.',
    todo: 'Bring it back. Until then records are processed and nothing is committed; nothing is lost.',
    page: 'store-down',
  },
  WaitingForCheckpoint: {
    why: 'Much state changed, the store is slow, or a barrier waits behind records that a sink holds up.',
    todo: 'Look at the durations in `kubectl weir checkpoints NAME`; more parallelism, or a longer interval.',
    page: 'store-down',
  },
  WaitingForCode: {
    why: 'A function of the job runs for very long, or for ever; the message has its line.',
    todo: 'Mend the function. After a minute its attempt fails and is restarted.',
    page: 'poison-record',
  },
  WaitingForSource: {
    why: 'The path or prefix that a source watches does not exist, or is still empty.',
    todo: 'Put files there, or correct the path.',
  },
  NotWaiting: USUAL,
  WaitOver: USUAL,
  RecordsDropped: {
    why: 'Records were later than `allowedLateness`, or lines could not be read with `onBadLine`.',
    todo: 'Keep them with `lateTo` or `onBadLine` and a side output, and look at them.',
    page: 'poison-record',
  },
  Restarting: {
    why: 'A TaskManager was lost, or code or a connector failed: the message has the error.',
    todo:
      'Nothing after a lost TaskManager. When the message stays the same, mend what it names and apply ' +
      'the new spec.',
    page: 'poison-record',
  },
  Stopping: {
    why: 'The spec has changed, a restart was asked for, or `spec.state` is not Running.',
    todo: 'Wait: a stop takes as long as a checkpoint does.',
  },
  Recovered: {
    why: 'What the message names was lost or failed, and was replaced.',
    todo: 'Nothing. `status.recoveries` has cause and milliseconds of the last ten.',
    page: 'task-manager-lost',
  },
  LeaderElected: USUAL,
  CheckpointsCompleting: USUAL,
  NoCheckpointYet: {
    why: 'The run has just begun, or is being restarted.',
    todo:
      'Wait for `checkpoint.interval`; if it lasts, `kubectl weir status stj/NAME` says what is ' +
      'waited for.',
  },
  NotRunning: { why: 'It is suspended, has ended or is being started.', todo: 'See the Ready condition.' },
  UpToDate: USUAL,
  Progressing: USUAL,
  RunStarted: { why: 'A first run, a changed spec, a restart or a resume.', todo: 'Nothing.' },
  RunEnded: { why: 'It came to its end or was stopped; the message says as what.', todo: 'Nothing.' },
  RestoreApplied: {
    why: 'The run named in the message started from what `spec.restore` names.',
    todo: 'Nothing: the block may stay. Change `restore.nonce` to restore again.',
  },
  ReconciliationEnabled: USUAL,
  ScaleAsAsked: USUAL,
} as const satisfies Partial<Record<Reason, Advice>>

/** Reasons that say what is wrong with a job, or was, and what a change of its spec led to. */
const JOB_ADVICE = {
  JobFailed: {
    why:
      'An error that no restart can help, or more failures than `restart.maxAttempts`. The message has ' +
      'the error with its [code](../errors.md).',
    todo:
      'Mend what the message names and apply the new spec: it continues from the last checkpoint. If the ' +
      'cause was elsewhere (a bucket, credentials), `kubectl weir restart NAME`.',
    page: 'bad-upgrade',
  },
  SpecInvalid: {
    why: 'The object was stored by another version of the CRD, or without validation.',
    todo: 'Correct the fields that the message lists; apply the CRDs of this operator (`charts/weir/crds`).',
  },
  ModuleNotFound: {
    why: '`spec.job.configMapKeyRef` names a ConfigMap or key that is not there (yet).',
    todo: 'Make the ConfigMap, or correct the name. It is looked for again every 30 s.',
    page: 'bad-upgrade',
  },
  StorageMissing: {
    why: 'Nobody said where checkpoints go.',
    todo: 'Set `spec.storage.s3`, or `defaults.storage` of the chart.',
  },
  StorageChanged: {
    why: 'In the new place the job would start empty. The old run goes on.',
    todo:
      'Name the former storage again; or, to move the job, take a savepoint that the new credentials can ' +
      'read and set `spec.storage` together with `spec.restore`.',
  },
  RedisMissing: {
    why: 'Two JobManagers need Redis to agree on who leads.',
    todo: 'Set `spec.redis`, or `defaults.redis` of the chart, or `jobManager.replicas: 1`.',
  },
  CredentialsMissing: {
    why: 'The Secret of the chart values was deleted, renamed or lacks a key.',
    todo:
      "Make the Secret with the key that the message names in the operator's namespace, or set " +
      '`spec.storage` ' +
      'and `spec.redis` of the job.',
  },
  RestoreNotReady: {
    why: 'The Savepoint is still being taken or its name is wrong, or the other job has no leader right now.',
    todo:
      '`kubectl get svp`: wait for it, or correct the name. For a checkpoint of another job: wait for its ' +
      'leader, suspend that job, or use a savepoint.',
    page: 'fork',
  },
  RestoreImpossible: {
    why:
      'Another `maxParallelism`, steps or states that the code does not have any more, or a checkpoint ' +
      'that was retired.',
    todo:
      'The message says which: set `maxParallelism` back, use `formerly`, allow dropping with ' +
      '`restore.allowNonRestoredState`, or name a checkpoint that it lists.',
    page: 'bad-upgrade',
  },
  DeadlineExceeded: {
    why: 'It waits or restarts, and no pod says why.',
    todo:
      '`kubectl weir status stj/NAME` says what it waits for, and since when. It ends by itself when the ' +
      'job is ready; raise `upgrade.deadline` for large restores.',
    page: 'bad-upgrade',
  },
  StopTimedOut: {
    why: 'No checkpoint completed in time: back pressure, a store that is away, code that does not return.',
    todo: 'Nothing is lost; some records are processed again. See why checkpoints were slow before.',
    page: 'store-down',
  },
  StopFailed: {
    why: 'The store or a task failed while the last checkpoint was taken; the message has the error.',
    todo: 'Nothing is lost; some records are processed again. Mend the store before the next stop.',
    page: 'store-down',
  },
  StopSkipped: {
    why: 'The run was restarting, waiting for slots, or had no leader that could be reached for 30 s.',
    todo:
      'Nothing is lost; some records may be processed again. If you wanted a savepoint, take one when the ' +
      'job runs again.',
  },
  TokenLost: {
    why: 'Secret `weir-operator-token-key` in the namespace of the operator was deleted or replaced.',
    todo:
      'Nothing for the job: its pods are replaced. Back the Secret up with the namespace, and look up who ' +
      'deleted it.',
    page: 'operator-lost',
  },
  SavepointMissing: {
    why: 'The answer was lost with the JobManager, or the run ended in another way.',
    todo:
      'Look at the path that the message names: if a manifest.json is there, import it with ' +
      '`spec.existingPath`. Otherwise take another savepoint when the job runs.',
  },
  StopRefused: {
    why: 'It is just starting, restarting or handing over.',
    todo: 'Nothing; the stop is asked again, and `StopSkipped` or `StopTimedOut` follows if it never works.',
  },
  SourceNotAsked: {
    why: 'No leader of that job answers the operator: it is down, or in another namespace.',
    todo:
      'Wait until this job has completed a checkpoint before you start the other one again. For safety ' +
      'restore from a savepoint.',
    page: 'fork',
  },
  OutputLeft: {
    why: 'It was prepared, not yet committed, when the checkpoint was taken, and that job may go on.',
    todo: 'Nothing while that job goes on. If it is dead for good, publish the files by hand.',
    page: 'fork',
  },
  CommitsSkipped: {
    why: 'Readers took the files away, or somebody deleted them, before a commit was repeated.',
    todo: 'Nothing, if readers take files away. Otherwise find out who does.',
    page: 'output-gone',
  },
  JobManagerUnreachable: {
    why: 'A NetworkPolicy, a mesh or a proxy between the operator and the pod, or another token.',
    todo:
      'Do not restart anything: the job may well run. The message has the error and the address; allow ' +
      'the operator port 8081 of the JobManager.',
    page: 'job-manager-lost',
  },
  NoLeader: {
    why: 'The leading JobManager died and no other one leads yet, or Redis is away.',
    todo: 'Wait some seconds. If it lasts: `kubectl get pods -l weir.dev/job=NAME`, its log, and Redis.',
    page: 'job-manager-lost',
  },
  CheckpointsFailing: {
    why: 'The message has the reason ([list](../errors.md#reasons-of-a-failed-checkpoint)) and the subtask.',
    todo:
      'Mostly the store: mend it. The job goes on, but sinks publish nothing until a checkpoint ' +
      'completes.',
    page: 'store-down',
  },
  DefaultImageChanged: {
    why: 'The operator was upgraded.',
    todo: 'Nothing is urgent. `kubectl weir restart NAME` takes the new image at a time of your choice.',
    page: 'operator-lost',
  },
  DefaultStorageChanged: {
    why: "The operator's defaults were changed; jobs stay where their files are.",
    todo:
      'Keep the old bucket. To settle it, write `status.resolved.storage` into `spec.storage`; to ' +
      'move, set ' +
      '`spec.storage` and `spec.restore` together.',
  },
  DefaultRedisChanged: {
    why: "The operator's defaults were changed; a run keeps its Redis.",
    todo: 'Keep the old Redis until `kubectl weir restart NAME` has begun the next run.',
  },
  ReconciliationPaused: {
    why: 'Somebody set the annotation, for repairs by hand.',
    todo: 'When they are done: `kubectl annotate stj NAME weir.dev/reconcile-`.',
  },
  AnnotationUnknown: {
    why: 'A misspelt value.',
    todo: 'Set it to Disabled or Enabled, or remove it. Until then the operator looks after the job.',
  },
  ScaleLimited: {
    why: 'A key group is the smallest part of the work, and there are `maxParallelism` of them.',
    todo:
      'Ask for fewer TaskManagers, or let the autoscaler end there. `maxParallelism` cannot change once ' +
      'there is state.',
  },
  RestartIgnored: {
    why: 'A suspended or drained job has no run to begin again.',
    todo: 'Set `spec.state: Running`.',
  },
  ScaleIgnored: {
    why: 'A scale alone does not run a job again that has ended.',
    todo: '`kubectl weir restart NAME`, if it is to run again.',
  },
} as const satisfies Partial<Record<Reason, Advice>>

export const REASON_ADVICE: Readonly<Record<Reason, Advice>> = {
  ...STATE_ADVICE,
  ...JOB_ADVICE,
  ...POD_AND_API_ADVICE,
  ...SAVEPOINT_ADVICE,
}
