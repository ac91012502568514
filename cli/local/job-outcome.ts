import type { ErrorData } from '#runtime/base/errors'
import { type FinalState, isFinal, type JobFacts } from '#runtime/contract/rest'

/** How `weir run` ended. */
export interface JobOutcome {
  /** Killed: by the user, at once. */
  readonly state: FinalState | 'Killed'
  readonly message: string
  readonly error: ErrorData | undefined
  /** The newest that were seen. */
  readonly facts: JobFacts | undefined
}

/**
 * How the job ends by these facts; undefined while it continues. A JobManager waits for what a
 * rotated credential may mend. Here somebody is looking: a job that has never run ends with the
 * error that keeps it from running. One that has run before continues, and its error is shown.
 * Pure.
 */
export function outcomeOf(facts: JobFacts, hasRun: boolean): JobOutcome | undefined {
  const { state, error, message } = facts
  if (isFinal(state)) return { state, message: error?.message ?? message, error, facts }
  if (hasRun || error === undefined || !needsUser(error)) return undefined
  return { state: 'Failed', message: error.message, error, facts }
}

const needsUser = ({ code, retry }: ErrorData): boolean => code === 'STO_DENIED' || retry === 'never'
