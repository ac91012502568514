import { present } from '#runtime/base/errors'
import type { ExecutionPlan, PlanEdge } from '#runtime/contract/job-plan'
import type { SubtaskRef } from '#runtime/contract/rpc'

/**
 * One channel of the plan. Ids are dense and follow from the plan alone, so every process computes
 * the same ones.
 */
export interface PlannedChannel {
  readonly id: number
  readonly edge: PlanEdge
  readonly from: SubtaskRef
  /** uid of the operator whose records it carries. */
  readonly emitter: string
  readonly to: SubtaskRef
}

export function planChannels(plan: ExecutionPlan): readonly PlannedChannel[] {
  const vertices = new Map(plan.vertices.map((v) => [v.id, v]))
  const vertexOf = (id: string) => present(vertices.get(id), `the vertex ${id} of an edge`)
  const channels: PlannedChannel[] = []
  for (const edge of plan.edges) {
    const [upstream, downstream] = [vertexOf(edge.from), vertexOf(edge.to)]
    const emitter = upstream.operators[edge.fromOperator]?.uid ?? edge.from
    for (const [f, t] of connected(edge, upstream.parallelism, downstream.parallelism))
      channels.push({
        id: channels.length,
        edge,
        from: { vertex: edge.from, subtask: f },
        emitter,
        to: { vertex: edge.to, subtask: t },
      })
  }
  return channels
}

/** Pairs of subtasks that an edge connects: each with its like if it is forward, else all. */
function* connected(edge: PlanEdge, upstream: number, downstream: number): Generator<[number, number]> {
  for (let f = 0; f < upstream; f++)
    for (let t = 0; t < downstream; t++) if (edge.partition !== 'forward' || f === t) yield [f, t]
}
