import type { JobFacts } from '#runtime/contract/rest'
import { fields } from '#cli/table'
import {
  checkpointText,
  eventTimeText,
  recordsText,
  skippedText,
  slotsText,
  stateText,
  waitRows,
} from './facts-text.ts'

/** The live lines below the events of `weir run` on a terminal. Pure. */
export function statusBlock(
  facts: JobFacts | undefined,
  now: number,
  wanted: { readonly taskManagers: number },
): string[] {
  if (facts === undefined) return ['starting']
  const { state, taskManagers, restarts } = facts
  const shown = state === 'Running' ? { ...facts, message: '' } : facts
  return fields([
    ['state', stateText(shown, now)],
    ...waitRows(facts, now),
    ['records', recordsText(facts)],
    ['event time', eventTimeText(facts, now)],
    ['skipped', skippedText(facts.skipped)],
    ['checkpoints', checkpointsText(facts, now)],
    ['task managers', `${taskManagers} of ${wanted.taskManagers}, ${slotsText(facts)}, restarts ${restarts}`],
  ]).split('\n')
}

function checkpointsText({ checkpoint }: JobFacts, now: number): string {
  const { completed, failed, last, inProgress, phase } = checkpoint
  return [
    `${completed} completed`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(last === undefined ? [] : [`last ${checkpointText(last, now)}`]),
    ...(inProgress === undefined ? [] : [`${inProgress} ${phase}`]),
  ].join(', ')
}
