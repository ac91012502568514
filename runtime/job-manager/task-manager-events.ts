import { byType, type ByType } from '#runtime/base/by-type'
import type { FromTaskManager } from '#runtime/contract/rpc'
import type { JobEvent } from './job-event.ts'

/** What the job's machine hears of TaskManagers; other messages go elsewhere. */
const EVENTS: Partial<ByType<FromTaskManager, JobEvent, [member: string]>> = {
  execution: ({ report }, member) => ({ type: 'Reported', member, report }),
  leaving: ({ why }, member) => ({ type: 'Leaving', member, why }),
  heartbeat: ({ attempt, progress }, member) => ({ type: 'Heartbeat', member, attempt, progress }),
  deployed: ({ attempt }, member) => ({ type: 'Deployed', member, attempt }),
  deployFailed: ({ attempt, error }, member) => ({
    type: 'TaskFailed',
    member,
    attempt,
    error,
    subtask: undefined,
  }),
  failed: ({ attempt, subtask, error }, member) => ({ type: 'TaskFailed', member, attempt, subtask, error }),
  finished: ({ attempt, subtask }) => ({ type: 'SubtaskFinished', attempt, subtask }),
  committed: ({ attempt, subtask, checkpointId }) => ({
    type: 'SubtaskCommitted',
    attempt,
    subtask,
    checkpointId,
  }),
}

/** `member`: key of the connection that the message came by. */
export function eventOf(member: string, message: FromTaskManager): JobEvent | undefined {
  return byType(EVENTS, message, member)
}
