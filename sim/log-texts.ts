/**
 * The texts of the product's log by which the simulation knows what has happened. In the product
 * they are literals where the line is written, and nothing ties them to these but a test
 * (test/unit/sim/observer.test.ts): whoever changes one there changes it here.
 */

/** Whole messages of log lines. */
export const MESSAGES = {
  deposed: 'coordinator deposed',
  appendCertain: 'log append certain',
  epochContested: 'another was faster, reading on',
  overInDoubt: 'term over with a record in doubt',
  orphansDeleted: 'files of failed checkpoints deleted',
  notCompleted: 'checkpoint not completed',
  completed: 'checkpoint completed',
  adopted: 'adopted by a new leader',
  gaveUp: 'no job manager came back: sources and sinks stop',
  jobPhase: 'job phase',
  attemptFailed: 'attempt failed',
  candidate: 'candidate',
  commitSkipped: 'output that was committed before is gone: it is not committed again',
} as const

/** Parts of what a line says beside its message: of its error, or of the job's message. */
export const PARTS = {
  runsSomethingElse: ' instead of attempt ',
  noProgress: ' made no progress for ',
  sinksDidNotCommit: 'Sinks did not commit ',
  leaves: ' leaves: ',
  everythingCommitted: 'everything is committed with ',
  goesOn: ' goes on under epoch ',
  toCommit: ' to commit ',
  planChanged: 'the plan has changed',
  doesNotRun: ' does not run any more',
  runsTwice: 'a subtask of attempt ',
  runsInPart: ' subtasks of attempt ',
} as const
