/**
 * What the process says to a script. Listed in `weir --help`; a number is never given another
 * meaning.
 */
export const EXIT = {
  ok: 0,
  /** The work failed: the job failed, a checkpoint does not verify, a server refused. */
  failed: 1,
  /** The command line, a file it names, or a manifest is wrong; nothing was started. */
  badInput: 2,
  /** The named job, savepoint or checkpoint does not exist, or the job is not running. */
  notFound: 3,
  /** Ctrl-C. */
  interrupted: 130,
} as const
export type ExitCode = (typeof EXIT)[keyof typeof EXIT]
