import { createHash } from 'node:crypto'
import { WeirError, present } from '#runtime/base/errors'
import type { ExecutionPlan, PlanEdge, PlanOperator, PlanVertex } from '#runtime/contract/job-plan'
import { chainGraph, type Chain, type PlannedEdge } from './chaining.ts'
import type { LogicalGraph, LogicalNode } from './logical-graph.ts'

export interface PlanOptions {
  /** Of every node that does not set its own. */
  readonly parallelism: number
  readonly maxParallelism: number
}

/**
 * The plan with what only a process that has loaded the job's code can know: the nodes behind its
 * operators and the keys of its edges.
 */
export interface BoundPlan {
  readonly plan: ExecutionPlan
  /** By vertex id, in chain order. */
  readonly chains: ReadonlyMap<string, readonly LogicalNode[]>
  /** By edge id; only hash edges have one. */
  readonly keyOf: ReadonlyMap<number, (value: any) => unknown>
}

/**
 * Pure and deterministic: the same graph and options give the same plan and hash in every process.
 * @throws {WeirError} CFG_GRAPH, CFG_INVALID
 */
export function buildPlan(graph: LogicalGraph, options: PlanOptions): ExecutionPlan {
  return bindPlan(graph, options).plan
}

/** `buildPlan`, with the code bound to it. */
export function bindPlan(graph: LogicalGraph, options: PlanOptions): BoundPlan {
  checkParallelism(graph, options)
  const parallelismOf = (node: LogicalNode) => node.parallelism ?? options.parallelism
  const { chains, edges: planned } = chainGraph(graph, parallelismOf)
  const vertices = chains.map((chain): PlanVertex => {
    const [head] = chain
    return {
      id: head.id,
      name: chain.map((n) => n.description).join(' -> '),
      parallelism: parallelismOf(head),
      operators: chain.map(planOperator),
    }
  })
  const edges = planned.map((edge, id) => planEdge(edge, id, chains))
  const guarantee = graph.nodes.some((n) => n.guarantee === 'at-least-once')
    ? 'at-least-once'
    : 'exactly-once'
  const { maxParallelism } = options
  return {
    plan: { hash: hashPlan(maxParallelism, vertices, edges), maxParallelism, vertices, edges, guarantee },
    chains: new Map(chains.map((chain) => [chain[0].id, chain])),
    keyOf: new Map(
      planned.flatMap(({ partition, logical: { keyOf } }, id) =>
        partition === 'hash' && keyOf !== undefined ? [[id, keyOf]] : [],
      ),
    ),
  }
}

function planOperator(node: LogicalNode): PlanOperator {
  const { id, kind, stateful, description, formerly, location, states } = node
  return { id, uid: id, kind, stateful, description, formerly, location, states }
}

function planEdge(edge: PlannedEdge, id: number, chains: readonly Chain[]): PlanEdge {
  const chainWith = (node: string) =>
    present(
      chains.find((chain) => chain.some((n) => n.id === node)),
      `the chain of ${node}`,
    )
  const from = chainWith(edge.logical.from)
  return {
    id,
    from: from[0].id,
    to: chainWith(edge.logical.to)[0].id,
    partition: edge.partition,
    fromOperator: from.findIndex((n) => n.id === edge.logical.from),
  }
}

/**
 * Descriptions and locations are for people and stay out of the hash: they may name arguments and
 * files that decide nothing.
 */
function hashPlan(
  maxParallelism: number,
  vertices: readonly PlanVertex[],
  edges: readonly PlanEdge[],
): string {
  const decisive = [
    maxParallelism,
    vertices.map((v) => [
      v.id,
      v.parallelism,
      v.operators.map((o) => [o.uid, o.kind, o.stateful, o.formerly, o.states]),
    ]),
    edges.map((e) => [e.id, e.from, e.to, e.partition, e.fromOperator]),
  ]
  return createHash('sha256').update(JSON.stringify(decisive)).digest('hex')
}

function checkParallelism(graph: LogicalGraph, { parallelism, maxParallelism }: PlanOptions): void {
  if (!Number.isInteger(parallelism) || parallelism < 1 || parallelism > maxParallelism)
    throw new WeirError(
      'CFG_INVALID',
      `Parallelism ${parallelism} is not possible: ` +
        `expected a whole number from 1 to maxParallelism ${maxParallelism}.`,
    )
  for (const { id, location, parallelism: own } of graph.nodes)
    if (own !== undefined && own > maxParallelism)
      throw new WeirError(
        'CFG_GRAPH',
        `"${id}" (${location}) has parallelism ${own}, more than maxParallelism ${maxParallelism}. ` +
          'Lower it, or raise maxParallelism while the job has no state yet.',
      )
}
