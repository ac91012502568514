import { FilterOperator } from '#runtime/operators/filter'
import { FlatMapOperator } from '#runtime/operators/flat-map'
import type { SideOutput } from '#runtime/element/side-output'
import type { GraphBuilder, NodeSpec, Upstream } from './logical-graph.ts'

/** Behind a step with a side output: where its own records come, and where those of the side. */
export interface SideBranches {
  readonly main: Upstream
  readonly side: Upstream
}

/**
 * The step's side records travel in its one output, marked; a filter behind it on each branch takes
 * what is its own.
 */
export function addSideBranches(
  builder: GraphBuilder,
  { node, uid, location }: { readonly node: string; readonly uid: string; readonly location: string },
  side: SideOutput<any>,
): SideBranches {
  const branch = (kind: string, create: NodeSpec['create']): Upstream => {
    const spec = { kind, location, description: `${uid} ${kind}`, create }
    return { node: builder.add(spec, [{ node, partition: 'forward' }]), partition: 'forward' }
  }
  return {
    main: branch('mainOutput', () => new FilterOperator((value) => !side.holds(value))),
    side: branch(
      'sideOutput',
      () => new FlatMapOperator((value) => (side.holds(value) ? [side.unwrap(value)] : [])),
    ),
  }
}
