import type { LogicalEdge, LogicalGraph, LogicalNode } from './logical-graph.ts'

/** A logical edge as it is executed. */
export interface PlannedEdge {
  readonly logical: LogicalEdge
  readonly partition: LogicalEdge['partition']
}

export interface Chains {
  /** In the order of their first nodes. */
  readonly chains: readonly (readonly LogicalNode[])[]
  /** The edges between chains, in the order of the graph. */
  readonly edges: readonly PlannedEdge[]
}

/**
 * Puts nodes that one thread can run as plain calls into one chain. A node follows its only input
 * when both have the same parallelism, nothing else follows that input yet, and every record stays
 * in its subtask: a forward edge, or any edge between two single subtasks. Pure.
 */
export function chainGraph(graph: LogicalGraph, parallelismOf: (node: LogicalNode) => number): Chains {
  const nodes = new Map(graph.nodes.map((n) => [n.id, n]))
  const chainOf = new Map<string, LogicalNode[]>()
  const chains: LogicalNode[][] = []
  const planned = graph.edges.map((logical): PlannedEdge => {
    const same =
      parallelismOf(nodes.get(logical.from) as LogicalNode) ===
      parallelismOf(nodes.get(logical.to) as LogicalNode)
    return { logical, partition: logical.partition === 'forward' && !same ? 'rebalance' : logical.partition }
  })
  const chained = new Set<PlannedEdge>()
  for (const node of graph.nodes) {
    const inputs = planned.filter((e) => e.logical.to === node.id)
    const [input] = inputs
    if (input !== undefined && inputs.length === 1 && !node.startsChain) {
      const upstream = nodes.get(input.logical.from) as LogicalNode
      const chain = chainOf.get(upstream.id) as LogicalNode[]
      const p = parallelismOf(node)
      if (
        chain.at(-1) === upstream &&
        p === parallelismOf(upstream) &&
        (input.partition === 'forward' || p === 1)
      ) {
        chain.push(node)
        chainOf.set(node.id, chain)
        chained.add(input)
        continue
      }
    }
    const chain = [node]
    chains.push(chain)
    chainOf.set(node.id, chain)
  }
  return { chains, edges: planned.filter((e) => !chained.has(e)) }
}
