import { WeirError } from '#runtime/base/errors'
import type { PlanVertex } from '#runtime/contract/job-plan'
import type { StreamOperator } from '#runtime/operators/stream-operator'
import { bindPlan, type BoundPlan, type PlanOptions } from './execution-plan.ts'
import { buildGraph } from './job-definition.ts'
import { loadJobModule, type JobModule } from './load-module.ts'
import { formatPlan } from './plan-text.ts'

/** One vertex of the plan with its code: what a slot needs to run subtasks of it. */
export interface VertexInstance {
  readonly vertex: PlanVertex
  /** A new operator for each subtask, in chain order. */
  readonly create: readonly (() => StreamOperator)[]
  /** The key function of a hash edge that leaves this vertex. */
  keyOf(edgeId: number): (value: any) => unknown
}

/**
 * Loads the job's code again and builds its plan again, in the slot that will run it.
 * @throws {WeirError} CFG_GRAPH when the plan is not the one that was deployed: the job's function
 *   is not deterministic.
 */
export async function instantiate(
  module: JobModule & { readonly args: Readonly<Record<string, unknown>> },
  options: PlanOptions,
  planHash: string,
): Promise<Map<string, VertexInstance>> {
  const bound = bindPlan(buildGraph(await loadJobModule(module), module.args), options)
  if (bound.plan.hash !== planHash)
    throw new WeirError(
      'CFG_GRAPH',
      'The job built another graph here than in the JobManager ' +
        `(plan ${bound.plan.hash.slice(0, 8)}, deployed ${planHash.slice(0, 8)}). ` +
        'Its function must not depend on time, randomness, environment or files. ' +
        `Built here:\n${formatPlan(bound.plan)}`,
    )
  return instancesOf(bound)
}

export function instancesOf({ plan, chains, keyOf }: BoundPlan): Map<string, VertexInstance> {
  return new Map(
    plan.vertices.map((vertex) => [
      vertex.id,
      {
        vertex,
        create: (chains.get(vertex.id) ?? []).map((node) => node.create),
        keyOf: (edgeId) => keyOf.get(edgeId) ?? ((value) => value),
      },
    ]),
  )
}
