import type { ErrorCode } from '#runtime/base/errors'
import type { FailureReason } from '#runtime/contract/failure-reasons'
import type { Advice } from './advice.ts'

export const ERROR_ADVICE: Readonly<Record<ErrorCode, Advice>> = {
  CFG_INVALID: {
    why:
      'An argument of the job, a field of a manifest, an option of a source, sink or step, a duration ' +
      'or a path is missing, misspelt or out of range.',
    todo:
      'The message names the field, the value and what is expected: change it there. Nothing was ' +
      'started. For manifests [all fields](reference/stream-job.md).',
  },
  CFG_MODULE: {
    why:
      'The file has a syntax error, imports a relative path or a package that is not there, throws ' +
      'while it is loaded, or does not export a job as its default.',
    todo:
      'Go to the line that the message names; `weir plan job.ts` repeats it without running anything. ' +
      'A package must be in the image, or bundled into the file.',
    page: 'bad-upgrade',
  },
  CFG_GRAPH: {
    why:
      'The function given to defineJob built something that cannot run, or threw while building: two ' +
      'steps of one uid, no sink, a window without timestamps, an argument that is no function.',
    todo: 'The message names the step and its line: correct it, then `weir plan job.ts` until it passes.',
    page: 'bad-upgrade',
  },
  USR_FAILED: {
    why:
      'A function of the job, a source or a sink threw, did not return for a minute, or gave something ' +
      'that cannot be used: a promise, a key that is none, a value that no checkpoint can hold.',
    todo:
      'Read the step, line and record in the message. Correct the code, or the data, and start the new ' +
      'version: it continues from the last checkpoint, with the record that failed. Until then every ' +
      'restart fails at the same record; suspend the job if it must stop trying.',
    page: 'poison-record',
  },
  USR_TIMEOUT: {
    why: 'The job module, or the function given to defineJob, loops or waits for something.',
    todo: 'Leave only the building of the graph there; move reading of files or services into a source.',
    page: 'bad-upgrade',
  },
  STO_UNAVAILABLE: {
    why: 'The S3 server or the disk is down, full, too slow or cannot be reached.',
    todo:
      'Look at the server, the network and the space that is left. Weir tries again by itself, and ' +
      'nothing is lost meanwhile; no checkpoint completes until it is back.',
    page: 'store-down',
  },
  STO_DENIED: {
    why: 'Wrong or expired credentials, a policy without one of the rights, or a bucket that is not there.',
    todo:
      'Check the bucket name, the Secret (`spec.storage.s3.credentialsSecretRef`) and the policy: the job ' +
      'lists, reads, writes and deletes objects below its prefix. A rotated Secret is read again without ' +
      'a restart. A job that has Failed by it starts again with `kubectl weir restart NAME`, or the same ' +
      '`weir run`.',
    page: 'store-down',
  },
  STO_EXISTS: {
    why:
      'Something else wrote to the place: a savepoint of another job at the path that was asked for, or ' +
      'a file with the name of an output file.',
    todo:
      'Nothing was overwritten. Give another path, or move the object that the message names away, and ' +
      'ask again.',
  },
  STO_MISSING: {
    why:
      'The path of an input, a savepoint or a job is misspelt, or somebody (a person, a lifecycle rule) ' +
      'removed what the job needs.',
    todo:
      'Check the path in the message. An input that has moved: name the new place. A file of a ' +
      'checkpoint: bring it back from the versions or a backup of the bucket, or start from an older ' +
      'savepoint.',
    page: 'corrupt-checkpoint',
  },
  STO_UNSAFE: {
    why: 'The server overwrites an object although it was told not to, so two leaders could both decide.',
    todo:
      'Use a server that honours `If-None-Match: *` when it stores an object, as Amazon S3 does, or a file ' +
      'system with hard links. There is no setting that passes over it.',
    page: 'store-down',
  },
  STO_CORRUPT: {
    why: 'A disk or a server changed or truncated bytes, somebody edited a file, or an input shrank.',
    todo:
      'Bring the named file back from a version or a backup and start the job again; else start from an ' +
      'older checkpoint or a savepoint. `weir checkpoints verify` says which are whole.',
    page: 'corrupt-checkpoint',
  },
  STO_OWNED_BY_ANOTHER: {
    why: 'Two jobs were given one prefix (or state directory), or a job was renamed.',
    todo:
      'Give this job a prefix of its own. To go on where the other one was, stop that one and restore its ' +
      'savepoint or checkpoint.',
    page: 'fork',
  },
  CKP_DECLINED: {
    why:
      'A checkpoint, savepoint or stop that was asked for did not come about: tasks were not running, a ' +
      'task failed, time ran out, another request came first.',
    todo:
      'Look up the [reason](#reasons-of-a-failed-checkpoint) that the message ends with. The job goes on; ' +
      'ask again when it is Running.',
  },
  CKP_RESTORE: {
    why:
      'The path is no checkpoint or savepoint, it is not retained any more, or the code has changed: a ' +
      'uid or a state is gone, or `maxParallelism` differs.',
    todo:
      'The message names what does not fit. Say what a step or state was called with `formerly`, set ' +
      '`maxParallelism` back, or drop state on purpose with `allowNonRestoredState`. ' +
      '`weir plan job.ts --from PATH` tries it without touching anything.',
    page: 'bad-upgrade',
  },
  CKP_COMMIT_LOST: {
    why:
      'The output directory is not the one that was written to (another machine, an empty volume), or ' +
      'somebody removed hidden files of a sink.',
    todo:
      'Mount the same directory on every machine, or put the files back. Otherwise restore an older ' +
      'savepoint. The job stays Failed, since going on would lose records.',
    page: 'output-gone',
  },
  NET_LOST: {
    why: 'A process died or was replaced, a node went away, or the network between them broke.',
    todo:
      'Nothing, when it happens once. When it repeats, look at what ended the process: ' +
      '`kubectl describe pod -l weir.dev/job=NAME`, on a laptop `.weir/JOB/logs`.',
    page: 'task-manager-lost',
  },
  NET_REFUSED: {
    why:
      'The request carries no token or that of another job, the other process is a standby, or it is of ' +
      'another version.',
    todo:
      'For REST: send `Authorization: Bearer` with the token of this job, to the leader that the answer ' +
      'names. Between processes of a job it passes when all run one image; `kubectl weir restart NAME` ' +
      'replaces them.',
    page: 'job-manager-lost',
  },
  FENCED: {
    why: 'Another JobManager took over, or a newer run of the job began, while this process was away.',
    todo:
      'Nothing: the newer one works. Only where no run goes on: `weir status`, and start the job again if ' +
      'it says so.',
    page: 'job-manager-lost',
  },
  KUB_API: {
    why: 'The API server cannot be reached, is overloaded, or the object is being changed or deleted.',
    todo:
      'It is tried again. When it lasts, the Ready condition has the words of the server; check the API ' +
      "server and the operator's rights.",
    page: 'operator-lost',
  },
  DEADLINE: {
    why: 'Something that was waited for, which the message names, took longer than it may.',
    todo:
      'Commands: `weir status` says what the job waits for; mend that, or ask again with a longer ' +
      '`--timeout`. Inside a job it is tried again by itself.',
  },
  BUG: {
    why: 'Weir met a state that it holds to be impossible, or code threw where nothing should.',
    todo:
      'Report it with the message, the stack in the log and the version. Stored checkpoints are not ' +
      'affected: the job can be started again from the last one.',
  },
}

export const FAILURE_ADVICE: Readonly<Record<FailureReason, Advice>> = {
  TOO_MANY_CONCURRENT_CHECKPOINTS: {
    why: 'Checkpoints take longer than the interval between them.',
    todo: 'Nothing. A longer `checkpoint.interval` leaves more time between them.',
  },
  TOO_MANY_CHECKPOINT_REQUESTS: {
    why: 'Many checkpoints or savepoints were asked for at once.',
    todo: 'Wait for those under way (`weir checkpoints list`), then ask again.',
  },
  NOT_ALL_REQUIRED_TASKS_RUNNING: {
    why: 'The job is being deployed or restarted, waits for slots, or is coming to its end.',
    todo: 'Ask again when `weir status` says Running.',
  },
  CHECKPOINT_DECLINED: {
    why: 'A task could not take its snapshot; the message has its error.',
    todo: 'Read the message: mostly state or a record of the job that cannot be stored.',
    page: 'poison-record',
  },
  CHECKPOINT_EXPIRED: {
    why:
      'Back pressure holds up the barriers, a call of the job does not return, or much state goes to a ' +
      'slow store.',
    todo:
      '`weir status` names the subtasks that are waited for. Give slow steps more parallelism, or raise ' +
      '`checkpoint.timeout`.',
  },
  CHECKPOINT_ASYNC_EXCEPTION: {
    why: 'The store refused or lost a state file, or the disk is full.',
    todo: 'Mend the store; the next checkpoint is tried by itself.',
    page: 'store-down',
  },
  FINALIZE_CHECKPOINT_FAILURE: {
    why: 'The store did not take the manifest or the record of the checkpoint.',
    todo: 'Mend the store; the next checkpoint is tried by itself.',
    page: 'store-down',
  },
  SINK_PREPARE_FAILED: {
    why: 'The place that a sink writes to refused what it was given: full, denied, gone.',
    todo: 'The message has the error of the sink: mend the place. What was not published is written again.',
    page: 'output-gone',
  },
  CORRUPT_UPLOAD: {
    why: 'The report of a task and the checkpoint before it contradict each other: a defect in Weir.',
    todo: 'Nothing at once, the next checkpoint is whole again. Please report it with the log.',
  },
  TASK_FAILURE: {
    why: 'While the checkpoint was under way a task failed or a TaskManager was lost.',
    todo: 'Nothing for the checkpoint; see why the task failed (`weir status`).',
    page: 'task-manager-lost',
  },
  COORDINATOR_SHUTDOWN: {
    why: 'The run is being stopped, or the JobManager was told to go.',
    todo: 'Nothing.',
  },
  FENCED: {
    why: 'Another JobManager leads.',
    todo: 'Nothing: the new leader takes the next one.',
    page: 'job-manager-lost',
  },
}
