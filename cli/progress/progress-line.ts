import { isFinal, type JobFacts } from '#runtime/contract/rest'
import { formatAge } from '#cli/age'
import { eventTimeText, flow, plural, skippedText, waitRows } from './facts-text.ts'

/** The job in one line, for logs without a terminal; undefined once it has ended. Pure. */
export function progressLine(facts: JobFacts | undefined, now: number): string | undefined {
  if (facts === undefined) return 'starting'
  if (isFinal(facts.state)) return undefined
  const { state, stateSince, records, checkpoint, restarts } = facts
  const { last } = checkpoint
  const eventTime = eventTimeText(facts, now)
  const skipped = skippedText(facts.skipped)
  return [
    `${state} for ${formatAge(now - stateSince)}: ${flow(records.in, 'in', records.perSecond)}`,
    flow(records.out, 'out', records.outPerSecond),
    ...(eventTime === undefined ? [] : [`event time ${eventTime}`]),
    last === undefined
      ? 'no checkpoint yet'
      : `checkpoint ${last.id} ${formatAge(now - last.completedAt)} ago`,
    plural(restarts, 'restart'),
    ...(skipped === undefined ? [] : [`skipped ${skipped}`]),
    ...waitRows(facts, now).map(([what, text]) => `${what} ${text}`),
  ].join(', ')
}
