/** Parts of a job's facts in words, for every command that shows them. Pure. */
import { formatBytes } from '#runtime/base/units'
import type { JobFacts, WaitView } from '#runtime/contract/rest'
import { textOfWait } from '#runtime/contract/wait-text'
import { formatAge } from '#cli/age'

/** 1234567 -> "1,234,567", the same everywhere. */
export const count = (n: number): string => n.toLocaleString('en-US')

export const plural = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`

/** `Restarting for 3s: a TaskManager was lost`. */
export function stateText({ state, stateSince, message }: JobFacts, now: number): string {
  const age = `${state} for ${formatAge(now - stateSince)}`
  return message === '' ? age : `${age}: ${message}`
}

/** `waiting for slots: 4 of 9 are there, on 2 TaskManagers`. */
export const waitingFor = (wait: WaitView): string =>
  wait.kind === 'operator' ? wait.message : `waiting ${textOfWait(wait)}`

/** Each wait with its age; none when nothing is waited for. */
export const waitRows = ({ waits }: JobFacts, now: number): ['waiting', string][] =>
  waits.map((wait) => ['waiting', `${formatAge(now - wait.since)} ${textOfWait(wait)}`])

export const recordsText = ({ records }: JobFacts): string =>
  `${flow(records.in, 'in', records.perSecond)}, ${flow(records.out, 'out', records.outPerSecond)}`

/** `1,234 in (56/s)`. */
export const flow = (total: number, what: string, perSecond: number): string =>
  `${count(total)} ${what} (${count(Math.round(perSecond))}/s)`

/**
 * The watermark of the sinks and how far it is behind the clock; undefined where nothing has event
 * time.
 */
export function eventTimeText({ watermark }: JobFacts, now: number): string | undefined {
  if (watermark === null) return undefined
  const lagMs = now - watermark
  const time = new Date(watermark).toISOString()
  return lagMs < 0 ? `${time}, ahead of the clock` : `${time}, ${formatAge(lagMs)} behind the clock`
}

/** What was not processed or published; undefined where nothing was skipped. */
export function skippedText(skipped: JobFacts['skipped']): string | undefined {
  const { lateDropped, badRecords, skippedCommits, leftPending } = skipped
  const parts = [
    ...(lateDropped > 0 ? [`${count(lateDropped)} late`] : []),
    ...(badRecords > 0 ? [`${count(badRecords)} not readable`] : []),
    ...(skippedCommits > 0 ? [`${count(skippedCommits)} commits of output that is gone`] : []),
    ...(leftPending > 0 ? [`${count(leftPending)} transactions left to the job it is a fork of`] : []),
  ]
  return parts.length === 0 ? undefined : parts.join(', ')
}

export const slotsText = ({ slots }: JobFacts): string =>
  `slots ${slots.total - slots.free} of ${slots.total} used`

/** `7, 3s ago: 12.3 KiB in 18 ms`. */
export function checkpointText(
  { id, completedAt, sizeBytes, durationMs }: NonNullable<JobFacts['checkpoint']['last']>,
  now: number,
): string {
  const age = formatAge(now - completedAt)
  return `${id}, ${age} ago: ${formatBytes(sizeBytes)} in ${Math.round(durationMs)} ms`
}

export function failureText(
  { id, at, reason, message }: NonNullable<JobFacts['checkpoint']['lastFailure']>,
  now: number,
): string {
  return `${id}, ${formatAge(now - at)} ago: ${reason}, ${message}`
}
