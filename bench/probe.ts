import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** A moment in a process: wall clock, and CPU used by all of its threads so far. */
export interface Moment {
  readonly atMs: number
  readonly cpuUs: number
}

export function moment(): Moment {
  const { user, system } = process.cpuUsage()
  return { atMs: performance.timeOrigin + performance.now(), cpuUs: user + system }
}

/** Between two moments, for `events` events. */
export interface Usage {
  readonly events: number
  readonly wallMs: number
  readonly cpuUs: number
}

export const usageBetween = (from: Moment, to: Moment, events: number): Usage => ({
  events,
  wallMs: to.atMs - from.atMs,
  cpuUs: to.cpuUs - from.cpuUs,
})

/** Writes a whole file or nothing. */
export function writeReport(directory: string, name: string, value: unknown): void {
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, `.${name}`), JSON.stringify(value))
  renameSync(join(directory, `.${name}`), join(directory, name))
}
