import { present } from '#runtime/base/errors'
import type { DeliveryGuarantee } from '#runtime/connectors/sink'
import type { PlanState } from '#runtime/contract/job-plan'
import type { StreamOperator } from '#runtime/operators/stream-operator'

/**
 * What the user's job function built, before parallelism and chaining. Nodes are in the order in
 * which they were made, which is topological.
 */
export interface LogicalGraph {
  readonly nodes: readonly LogicalNode[]
  readonly edges: readonly LogicalEdge[]
}

export interface LogicalNode {
  /** The user's uid, or `<kind>.<n>` for a stateless step without one. Unique. */
  readonly id: string
  readonly kind: string
  readonly stateful: boolean
  readonly description: string
  /** Former uids whose state this node takes over. */
  readonly formerly: readonly string[]
  /** Undefined: the job's default. */
  readonly parallelism: number | undefined
  /** Never chained behind another operator: it polls. */
  readonly startsChain: boolean
  /** Its keyed state. */
  readonly states: readonly PlanState[]
  /** Records have event time behind it, whatever they had before it. */
  readonly givesTimestamps: boolean
  /** Set for sinks only. */
  readonly guarantee: DeliveryGuarantee | undefined
  /** The user's `file:line:column`. */
  readonly location: string
  /** A new operator, one for each subtask. */
  readonly create: () => StreamOperator
}

export interface LogicalEdge {
  readonly from: string
  readonly to: string
  readonly partition: 'forward' | 'rebalance' | 'hash'
  /** For `hash`. */
  readonly keyOf: ((value: any) => unknown) | undefined
}

/** One input of a node that is about to be added. */
export interface Upstream {
  readonly node: string
  readonly partition: LogicalEdge['partition']
  readonly keyOf?: ((value: any) => unknown) | undefined
}

export type NodeSpec = Pick<LogicalNode, 'kind' | 'location' | 'create'> & {
  readonly uid?: string | undefined
  readonly stateful?: boolean
  readonly description?: string
  readonly formerly?: readonly string[] | undefined
  readonly parallelism?: number
  readonly startsChain?: boolean
  readonly givesTimestamps?: boolean
  readonly states?: readonly PlanState[]
  readonly guarantee?: DeliveryGuarantee
}

/** Collects nodes and edges while the job function runs. */
export class GraphBuilder {
  readonly #nodes: LogicalNode[] = []
  readonly #edges: LogicalEdge[] = []
  readonly #generated = new Map<string, number>()

  add(spec: NodeSpec, inputs: readonly Upstream[]): string {
    const { uid, kind, location, create } = spec
    const id = uid ?? this.#generateId(kind)
    this.#nodes.push({
      id,
      kind,
      stateful: spec.stateful ?? false,
      description: spec.description ?? (uid === undefined ? kind : `${kind} ${uid}`),
      formerly: spec.formerly ?? [],
      parallelism: spec.parallelism,
      startsChain: spec.startsChain ?? false,
      states: spec.states ?? [],
      givesTimestamps: spec.givesTimestamps ?? false,
      guarantee: spec.guarantee,
      location,
      create,
    })
    for (const { node, partition, keyOf } of inputs)
      this.#edges.push({ from: node, to: id, partition, keyOf })
    return id
  }

  setParallelism(id: string, parallelism: number): void {
    const i = this.#nodes.findLastIndex((n) => n.id === id)
    this.#nodes[i] = { ...present(this.#nodes[i], `the node ${id}`), parallelism }
  }

  graph(): LogicalGraph {
    return { nodes: [...this.#nodes], edges: [...this.#edges] }
  }

  /** Generated ids hold a dot, which user-given uids may not, so the two never meet. */
  #generateId(kind: string): string {
    const n = (this.#generated.get(kind) ?? 0) + 1
    this.#generated.set(kind, n)
    return `${kind}.${n}`
  }
}
