/**
 * The execution plan as plain data: what the JobManager schedules, what REST, CLI and UI show.
 * Built by graph/execution-plan.ts, pure.
 */
export interface ExecutionPlan {
  /**
   * SHA-256 of everything below that decides where records and state go. Computed in the JobManager
   * and again in every slot; they must be equal.
   */
  readonly hash: string
  readonly maxParallelism: number
  readonly vertices: readonly PlanVertex[]
  readonly edges: readonly PlanEdge[]
  readonly guarantee: 'exactly-once' | 'at-least-once'
}

/** A chain of operators run by one task per subtask. */
export interface PlanVertex {
  /** uid or generated name of the first operator. */
  readonly id: string
  /** `read lines -> words` for people. */
  readonly name: string
  readonly parallelism: number
  readonly operators: readonly PlanOperator[]
}

export interface PlanOperator {
  /** Node id in the logical graph; equals `uid` where the user gave one. */
  readonly id: string
  readonly uid: string
  readonly kind: string
  readonly stateful: boolean
  readonly description: string
  /** Former uids whose state this operator takes over. */
  readonly formerly: readonly string[]
  /** `file:line:column` of the step in the job's module. */
  readonly location: string
  /** Its keyed state, as declared. */
  readonly states: readonly PlanState[]
}

export interface PlanState {
  readonly name: string
  /** What is stored under the name, in words: state of another kind is none of this one. */
  readonly kind: string
  /** Former names whose state this one takes over. */
  readonly formerly: readonly string[]
  /** Of what is stored; a stored one of a lower version is migrated. */
  readonly version: number
  /** Kind of the default value, such as `number`; absent: it has none. */
  readonly holds?: string | undefined
  /** What its values are checked by (state/evolution.ts). */
  readonly schema?: string | undefined
}

/**
 * From every subtask of `from` to subtasks of `to`. `forward` connects equal indexes; the others
 * connect all with all.
 */
export interface PlanEdge {
  readonly id: number
  readonly from: string
  readonly to: string
  readonly partition: 'forward' | 'rebalance' | 'hash' | 'broadcast'
  /** Which operator of `from`'s chain emits into it (index). */
  readonly fromOperator: number
}
