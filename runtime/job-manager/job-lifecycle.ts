import { WeirError } from '#runtime/base/errors'
import type { JobState } from '#runtime/contract/rest'

/**
 * States of a job under one leader, and the edges between them.
 *
 * | state | waits for | ends by |
 * | --- | --- | --- |
 * | Created | leadership and a plan | becoming leader |
 * | WaitingForSlots | enough slots | TaskManagers registering |
 * | Deploying | every TaskManager restored and connected | all `deployed` |
 * | Running | nothing | failure, stop, end of data |
 * | Restarting | the restart delay | the delay passing |
 * | Stopping | the last checkpoint or savepoint and its commits | CLOSE |
 * Finished, Suspended, Drained and Failed are final for the run.
 */
const TRANSITIONS = {
  Created: ['WaitingForSlots', 'Failed', 'Finished', 'Suspended', 'Drained'],
  WaitingForSlots: ['Deploying', 'Failed', 'Suspended'],
  Deploying: ['Running', 'Restarting', 'WaitingForSlots', 'Failed', 'Suspended'],
  Running: ['Restarting', 'Stopping', 'Failed'],
  Restarting: ['WaitingForSlots', 'Failed', 'Suspended'],
  Stopping: ['Finished', 'Suspended', 'Drained', 'Restarting', 'Running', 'Failed'],
  Finished: [],
  Suspended: [],
  Drained: [],
  Failed: [],
} as const satisfies Record<JobState, readonly JobState[]>

export function isFinal(state: JobState): boolean {
  return TRANSITIONS[state].length === 0
}

/** @throws {WeirError} BUG for an edge that does not exist. */
export function assertTransition(from: JobState, to: JobState): void {
  if (!(TRANSITIONS[from] as readonly JobState[]).includes(to))
    throw new WeirError('BUG', `A job cannot go from ${from} to ${to}`)
}
