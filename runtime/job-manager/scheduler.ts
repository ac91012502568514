import { present } from '#runtime/base/errors'
import type { ExecutionPlan } from '#runtime/contract/job-plan'
import type { SubtaskPlace } from '#runtime/contract/rpc'

export interface SlotOffer {
  readonly taskManager: string
  readonly slots: number
}

/** Slots that the plan needs: a slot holds one subtask of each vertex. */
export function slotsWanted(plan: ExecutionPlan): number {
  return Math.max(1, ...plan.vertices.map((v) => v.parallelism))
}

/**
 * Places every subtask, or undefined when there are too few slots. Slots are filled across
 * TaskManagers in turn (one slot of each, then the next), by id, so that the same TaskManagers get
 * the same subtasks again. Subtask i of every vertex goes to slot i: what is keyed the same way
 * stays in one thread. Pure.
 */
export function assignSlots(
  plan: ExecutionPlan,
  offers: readonly SlotOffer[],
): readonly SubtaskPlace[] | undefined {
  const sorted = [...offers].sort((a, b) => (a.taskManager < b.taskManager ? -1 : 1))
  const order: { taskManager: string; slot: number }[] = []
  for (let slot = 0; sorted.some((o) => slot < o.slots); slot++)
    for (const o of sorted) if (slot < o.slots) order.push({ taskManager: o.taskManager, slot })
  if (order.length < slotsWanted(plan)) return undefined
  return plan.vertices.flatMap((vertex) =>
    Array.from({ length: vertex.parallelism }, (_, subtask) => {
      const { taskManager, slot } = present(order[subtask], `slot ${subtask}`)
      return { vertex: vertex.id, subtask, taskManager, slot }
    }),
  )
}
