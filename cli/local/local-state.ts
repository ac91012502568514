import type { LogState } from '#runtime/commit-log/log-state'
import type { JobFacts } from '#runtime/contract/rest'
import { WeirError } from '#runtime/base/errors'
import { readJobLog } from './job-log.ts'
import type { LocalTarget } from './local-target.ts'

/** Where a local job stands: its JobManager says so while it runs, else its log. */
export type LocalStanding =
  | { readonly kind: 'running'; readonly facts: JobFacts }
  | {
      readonly kind: 'stopped'
      readonly state: 'New' | 'Interrupted' | NonNullable<LogState['closed']>['status']
      readonly log: LogState | undefined
    }

export async function standingOf(local: LocalTarget): Promise<LocalStanding> {
  if (local.client !== undefined) {
    try {
      return { kind: 'running', facts: await local.client.overview() }
    } catch (error) {
      // Ended, or its JobManager is being started again: the log says what is certain.
      if (!(error instanceof WeirError) || error.code !== 'NET_LOST') throw error
    }
  }
  const log = await readJobLog(local.state, local.record)
  if (log === undefined) return { kind: 'stopped', state: 'New', log }
  return { kind: 'stopped', state: log.closed?.status ?? 'Interrupted', log }
}

/** Stopped states that `weir run` can continue from. */
export const isResumable = (state: string): boolean => state !== 'Finished' && state !== 'Drained'
