import { userLocation } from '#runtime/base/user-source'

/**
 * `file:line:column` of the code that called `below` (a public function of the builder): the user's
 * own line.
 */
export function captureLocation(below: (...args: any[]) => unknown): string {
  const holder: { stack?: string } = {}
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 1
  try {
    Error.captureStackTrace(holder, below)
  } finally {
    Error.stackTraceLimit = limit
  }
  const frame = holder.stack?.split('\n').at(-1) ?? ''
  return userLocation(frame) ?? locationOfFrame(frame) ?? 'an unknown line'
}

/**
 * ` at fn (examples/job.ts:3:8)` -> `examples/job.ts:3:8`. With source maps enabled, stacks show a
 * job module by the URL of its path, with a number as query.
 */
export function locationOfFrame(frame: string): string | undefined {
  const match = /^\s*at (?:.*\()?(.+?:\d+:\d+)\)?$/.exec(frame)
  return match?.[1]?.replace(/^file:\/\//, '').replace(/\?weir-job=\d+(?=:)/, '')
}
