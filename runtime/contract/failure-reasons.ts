/**
 * Why a checkpoint did not complete: the closed list that REST, CLI, metrics and logs use (after
 * Flink's CheckpointFailureReason, FLIP-27 era, plus fencing).
 */
export const FAILURE_REASONS = {
  TOO_MANY_CONCURRENT_CHECKPOINTS: { counts: false, text: 'another checkpoint is in flight' },
  TOO_MANY_CHECKPOINT_REQUESTS: { counts: false, text: 'the request queue is full' },
  NOT_ALL_REQUIRED_TASKS_RUNNING: { counts: false, text: 'not all tasks are running' },
  CHECKPOINT_DECLINED: { counts: true, text: 'a task declined' },
  CHECKPOINT_EXPIRED: { counts: true, text: 'not all tasks acknowledged within the timeout' },
  CHECKPOINT_ASYNC_EXCEPTION: { counts: true, text: 'a task failed to write its snapshot' },
  FINALIZE_CHECKPOINT_FAILURE: { counts: true, text: 'the manifest or the log record could not be written' },
  SINK_PREPARE_FAILED: { counts: true, text: 'a sink could not prepare its transaction' },
  CORRUPT_UPLOAD: { counts: true, text: 'a referenced file is neither new nor part of the base' },
  TASK_FAILURE: { counts: false, text: 'a task failed or was lost' },
  COORDINATOR_SHUTDOWN: { counts: false, text: 'the coordinator is stopping' },
  FENCED: { counts: false, text: 'a newer epoch exists' },
} as const
export type FailureReason = keyof typeof FAILURE_REASONS
