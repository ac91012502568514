import { present } from '#runtime/base/errors'
import type { LogicalEdge, LogicalGraph, LogicalNode } from './logical-graph.ts'

/** A logical edge as it is executed. */
export interface PlannedEdge {
  readonly logical: LogicalEdge
  readonly partition: LogicalEdge['partition']
}

/** Nodes in the order in which a record passes them. */
export type Chain = readonly [head: LogicalNode, ...rest: LogicalNode[]]

export interface Chains {
  /** In the order of their first nodes. */
  readonly chains: readonly Chain[]
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
  const nodeOf = (id: string) => present(nodes.get(id), `the node ${id} of an edge`)
  const chainOf = new Map<string, [LogicalNode, ...LogicalNode[]]>()
  const chains: Chain[] = []
  const planned = graph.edges.map((logical): PlannedEdge => {
    const same = parallelismOf(nodeOf(logical.from)) === parallelismOf(nodeOf(logical.to))
    return { logical, partition: logical.partition === 'forward' && !same ? 'rebalance' : logical.partition }
  })
  const chained = new Set<PlannedEdge>()
  for (const node of graph.nodes) {
    const inputs = planned.filter((e) => e.logical.to === node.id)
    const [input] = inputs
    if (input !== undefined && inputs.length === 1 && !node.startsChain) {
      const upstream = nodeOf(input.logical.from)
      const chain = present(chainOf.get(upstream.id), `the chain of ${upstream.id}`)
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
    const chain: [LogicalNode, ...LogicalNode[]] = [node]
    chains.push(chain)
    chainOf.set(node.id, chain)
  }
  return { chains, edges: planned.filter((e) => !chained.has(e)) }
}
