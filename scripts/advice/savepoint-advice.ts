import type { Reason } from '#operator/api/conditions'
import type { Advice } from './advice.ts'

/** Reasons of Savepoints only. */
export const SAVEPOINT_ADVICE = {
  JobNotFound: {
    why: 'A misspelt name, another namespace, or the job was deleted.',
    todo: 'Correct `streamJobRef`, or make the job: a Savepoint that waits is taken then.',
  },
  JobNotRunning: {
    why: 'The job is starting, restarting or waiting for slots.',
    todo: 'Wait; it is taken when the job runs. See the Ready condition of the StreamJob.',
  },
  JobSuspended: {
    why: '`spec.state` of the job is Suspended.',
    todo:
      'Resume the job, and it is taken. The state that the job stopped with is at the path that the ' +
      'message names.',
  },
  JobEnded: {
    why: 'The job has finished, was drained or has failed.',
    todo:
      'Delete this Savepoint. The message names the path of the last state; `spec.existingPath` ' +
      'records it.',
  },
  InProgress: {
    why: 'The job writes all its state.',
    todo: 'Wait; a savepoint takes about as long as a first checkpoint.',
  },
  Completed: { why: 'All files are written.', todo: 'Nothing; it is kept until you delete its files.' },
  NotVerified: {
    why: 'The operator has no credentials to look at the path.',
    todo: 'Restore from it, by `restore.savepointRef` or `restore.path`: that checks it.',
  },
  Imported: { why: 'A restore has read it.', todo: 'Nothing.' },
  Retrying: {
    why: 'A task or the store failed while it was taken; the message has the error.',
    todo: 'Wait: it is tried again, `spec.backoffLimit` times. Mend what the message names.',
    page: 'store-down',
  },
  BackoffLimitExceeded: {
    why: 'Every attempt failed; the message has the last error.',
    todo: 'Mend what it names, and make another Savepoint.',
    page: 'store-down',
  },
} as const satisfies Partial<Record<Reason, Advice>>
