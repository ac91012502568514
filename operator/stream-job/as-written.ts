import { findCondition } from '#operator/api/conditions'
import type { StreamJobStatus } from '#operator/api/v1alpha1/stream-job-status'
import { isFinal, type JobFacts } from '#runtime/contract/rest'

/**
 * Whether the first facts of a JobManager say what the status of its job says already. After a
 * takeover those of nearly all jobs do, and what has really changed must not wait for them. Pure.
 */
export function isAsWritten(status: StreamJobStatus, facts: JobFacts): boolean {
  if (findCondition(status.conditions, 'Ready')?.reason !== 'Running') return false
  if (!facts.leading) return !isFinal(facts.state) && facts.error === undefined
  return (
    facts.state === 'Running' &&
    isSameAttempt(status, facts) &&
    facts.waits.length === (status.waits ?? []).length
  )
}

const isSameAttempt = (status: StreamJobStatus, { run, attempt, restarts }: JobFacts): boolean =>
  status.runId === `${run}` && status.attempt === attempt && status.restarts === restarts
