import type { CheckpointWait } from '#runtime/checkpoint/checkpoint-wait'
import type { InDoubt } from '#runtime/commit-log/record-writer'
import type { WaitView } from '#runtime/contract/rest'
import { slotsWanted } from './scheduler.ts'
import type { ExecutionPlan } from '#runtime/contract/job-plan'
import type { JobView } from './job-master.ts'

/** What a leader knows of what its job waits for. Times are wall clock. */
export interface WaitSources {
  readonly job: Pick<JobView, 'state' | 'stateSince'>
  readonly plan: ExecutionPlan | undefined
  readonly taskManagers: readonly { readonly slots: number; readonly waits: readonly WaitView[] }[]
  readonly inDoubt: InDoubt | undefined
  readonly checkpoint: CheckpointWait | undefined
  readonly now: number
}

/** What is over sooner is not worth a word. */
const SHORT_MS = 1000
const NAMED = 5

/** What keeps the job from going on, the longest first. Pure. */
export function waitsOf(sources: WaitSources): WaitView[] {
  const { taskManagers, now } = sources
  return [
    ...slotWaits(sources),
    ...storeWaits(sources),
    ...checkpointWaits(sources),
    ...taskManagers.flatMap(({ waits }) => waits),
  ]
    .filter(({ since }) => now - since >= SHORT_MS)
    .toSorted((a, b) => a.since - b.since)
}

function slotWaits({ job, plan, taskManagers }: WaitSources): WaitView[] {
  if (job.state !== 'WaitingForSlots' || plan === undefined) return []
  const have = taskManagers.reduce((sum, { slots }) => sum + slots, 0)
  // The last one has just come: it is not slots that are waited for any more.
  if (have >= slotsWanted(plan)) return []
  const tms = taskManagers.length === 1 ? '1 TaskManager' : `${taskManagers.length} TaskManagers`
  const message = `slots: ${have} of ${slotsWanted(plan)} are there, on ${tms}`
  return [{ kind: 'slots', since: job.stateSince, message }]
}

function storeWaits({ inDoubt, checkpoint }: WaitSources): WaitView[] {
  if (inDoubt !== undefined)
    return [{ kind: 'store', since: inDoubt.since, message: `the store: ${inDoubt.cause}` }]
  if (checkpoint?.phase !== 'COMMITTING') return []
  const { id, trouble } = checkpoint
  const message = trouble?.message ?? `it does not answer while checkpoint ${id} is written`
  return [{ kind: 'store', since: trouble?.since ?? checkpoint.since, message: `the store: ${message}` }]
}

function checkpointWaits({ checkpoint }: WaitSources): WaitView[] {
  if (checkpoint?.phase !== 'EXECUTING') return []
  const { id, kind, since, missing } = checkpoint
  const more = missing.length > NAMED ? ` and ${missing.length - NAMED} more` : ''
  const message = `${kind} ${id}: the part of ${missing.slice(0, NAMED).join(', ')}${more}`
  return [{ kind: 'checkpoint', since, message }]
}
