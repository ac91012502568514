import { formatBytes } from '#runtime/base/units'
import type { JobFacts } from '#runtime/contract/rest'
import { formatAge } from '#cli/age'
import { fields } from '#cli/table'

/** The live lines below the events of `weir run` on a terminal. Pure. */
export function statusBlock(
  facts: JobFacts | undefined,
  now: number,
  wanted: { readonly taskManagers: number },
): string[] {
  if (facts === undefined) return ['starting']
  const { checkpoint: c, records, slots } = facts
  return fields([
    [
      'state',
      `${facts.state} for ${formatAge(now - facts.stateSince)}${facts.state === 'Running' || facts.message === '' ? '' : `: ${facts.message}`}`,
    ],
    [
      'records',
      `${count(records.in)} in, ${count(records.out)} out, ${count(Math.round(records.perSecond))}/s`,
    ],
    [
      'checkpoints',
      [
        `${c.completed} completed`,
        ...(c.failed > 0 ? [`${c.failed} failed`] : []),
        ...(c.last === undefined
          ? []
          : [
              `last ${c.last.id}: ${formatBytes(c.last.sizeBytes)} in ${Math.round(c.last.durationMs)} ms, ${formatAge(now - c.last.completedAt)} ago`,
            ]),
        ...(c.inProgress === undefined ? [] : [`${c.inProgress} ${c.phase}`]),
      ].join(', '),
    ],
    [
      'task managers',
      `${facts.taskManagers} of ${wanted.taskManagers}, slots ${slots.total - slots.free} of ${slots.total} used, restarts ${facts.restarts}`,
    ],
  ]).split('\n')
}

/** 1234567 -> "1,234,567", the same everywhere. */
export const count = (n: number): string => n.toLocaleString('en-US')
