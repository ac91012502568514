import { present } from '#runtime/base/errors'
import type { Clock } from '#runtime/base/clock'
import type { Logger } from '#runtime/base/logger'
import type { PlanVertex } from '#runtime/contract/job-plan'
import { noCounts, type ConnectorCounters } from '#runtime/connectors/connector-context'
import type { Lineage } from '#runtime/contract/checkpoint-records'
import type { AttemptId, CheckpointId } from '#runtime/contract/ids'
import type { JobIdentity } from '#runtime/contract/job-options'
import type { Receiver } from '#runtime/element/receiver'
import { keyGroupRange } from '#runtime/element/key-group'
import type { CommitPermit, SinkHistory } from '#runtime/contract/rpc'
import type { OperatorContext, StreamOperator } from '#runtime/operators/stream-operator'
import { userCodeError } from '#runtime/operators/user-code'
import type { SubtaskRestore } from '#runtime/restore/subtask-restore'
import { HeapBackend } from '#runtime/state/heap-backend'
import type { KeyedStateBackend } from '#runtime/state/keyed-state'
import type { ConnectorAccess } from '#runtime/storage/connector-access'
import { DropWarnings } from './drop-warnings.ts'
import { discard, TeeReceiver, type EdgeOutput } from './partitioned-output.ts'

/** What a chain needs to know of its place, and of the slot that runs it. */
export interface ChainEnvironment {
  readonly job: JobIdentity
  readonly subtask: number
  readonly parallelism: number
  readonly restore: SubtaskRestore
  readonly attempt: AttemptId
  readonly maxParallelism: number
  readonly clock: Clock
  readonly random: () => number
  readonly logger: Logger
  readonly access: ConnectorAccess
  readonly lineage: Lineage
  readonly sinks: SinkHistory
  /** While opening: a step is done. */
  progress(): void
  wake(): void
  fail(error: unknown): void
}

export interface ListStateHook {
  readonly name: string
  readonly mode: 'split' | 'union'
  readonly snapshot: (checkpointId: CheckpointId) => readonly unknown[] | Promise<readonly unknown[]>
}

/** One operator of the chain with what it registered while opening. */
export interface ChainedOperator {
  readonly uid: string
  readonly formerly: readonly string[]
  readonly operator: StreamOperator
  readonly lists: ListStateHook[]
  /** Undefined until the operator asks for it. */
  keyed: HeapBackend | undefined
  readonly counters: ConnectorCounters
}

/**
 * The operators of one vertex in one subtask, wired so that a record passes from one to the next by
 * a plain call. Output edges hang on the operator that feeds them. Errors thrown by an operator
 * name it.
 */
export class OperatorChain {
  readonly operators: readonly ChainedOperator[]
  /** The first operator: it takes the input, or polls. */
  readonly head: StreamOperator
  /** Operators that may ask for a pause; most chains have none. */
  readonly #holders: readonly StreamOperator[]
  readonly #batchers: readonly StreamOperator[]
  readonly #outputsOf: (index: number) => readonly EdgeOutput[]
  #warnings: readonly DropWarnings[] = []
  #monotonic: () => number = () => 0

  constructor(
    vertex: PlanVertex,
    create: readonly (() => StreamOperator)[],
    outputsOf: (index: number) => readonly EdgeOutput[],
  ) {
    this.#outputsOf = outputsOf
    this.operators = vertex.operators.map((o, i) => ({
      uid: o.uid,
      formerly: o.formerly,
      operator: present(create[i], `the code of ${o.uid}`)(),
      lists: [],
      keyed: undefined,
      counters: noCounts(),
    }))
    this.head = present(this.operators[0], `the first operator of ${vertex.id}`).operator
    this.#batchers = this.operators.map((o) => o.operator).filter((o) => o.onBatchEnd !== undefined)
    this.#holders = this.operators.map((o) => o.operator).filter((o) => o.isBusy !== undefined)
  }

  /**
   * Opens the last operator first, so that whatever an operator emits while opening finds the next
   * one ready.
   */
  async open(environment: ChainEnvironment): Promise<void> {
    const { clock, logger, subtask } = environment
    this.#monotonic = () => clock.monotonic()
    this.#warnings = this.operators.map(
      ({ uid, counters }) => new DropWarnings(counters, logger.child({ uid, subtask })),
    )
    for (const [i, chained] of [...this.operators.entries()].toReversed()) {
      try {
        await chained.operator.open(this.#context(chained, this.#receiverAfter(i), environment))
      } catch (cause) {
        throw userCodeError({ uid: chained.uid, subtask: environment.subtask }, cause)
      }
    }
  }

  onBatchEnd(): void {
    for (const operator of this.#batchers) operator.onBatchEnd?.()
  }

  /** A few times a second: says what was dropped. */
  tick(): void {
    const now = this.#monotonic()
    for (const warnings of this.#warnings) warnings.check(now)
  }

  isBusy(): boolean {
    for (const operator of this.#holders) if (operator.isBusy?.()) return true
    return false
  }

  onEnd(): void {
    for (const { operator } of this.operators) operator.onEnd?.()
  }

  async onCheckpointComplete(permit: CommitPermit): Promise<void> {
    for (const { operator } of this.operators) await operator.onCheckpointComplete?.(permit)
  }

  async close(): Promise<void> {
    const now = this.#monotonic()
    for (const warnings of this.#warnings) warnings.end(now)
    for (const { operator } of this.operators) await operator.close?.()
  }

  #context(chained: ChainedOperator, out: Receiver, environment: ChainEnvironment): OperatorContext {
    const { uid, formerly } = chained
    const { subtask, parallelism, maxParallelism, restore } = environment
    return {
      job: environment.job,
      uid,
      formerly,
      subtask,
      parallelism,
      attempt: environment.attempt,
      restoredFrom: restore.checkpointId,
      lineage: environment.lineage,
      sinks: environment.sinks,
      out,
      get keyed(): KeyedStateBackend {
        if (chained.keyed === undefined) {
          chained.keyed = new HeapBackend({
            uid,
            keyGroups: keyGroupRange(subtask, parallelism, maxParallelism),
            maxParallelism,
            monotonic: () => environment.clock.monotonic(),
          })
          restore.keyed(uid, chained.keyed)
        }
        return chained.keyed
      },
      listState<T>(
        name: string,
        mode: 'split' | 'union',
        snapshot: (checkpointId: CheckpointId) => readonly T[] | Promise<readonly T[]>,
      ) {
        chained.lists.push({ name, mode, snapshot })
        return { restored: restore.list(uid, name, subtask, parallelism) as readonly T[] }
      },
      progress: environment.progress,
      wake: environment.wake,
      fail: (error) => environment.fail(userCodeError({ uid, subtask }, error)),
      clock: environment.clock,
      random: environment.random,
      logger: environment.logger.child({ uid, subtask }),
      access: environment.access,
      counters: chained.counters,
    }
  }

  #receiverAfter(index: number): Receiver {
    const targets: Receiver[] = [...this.#outputsOf(index)]
    const next = this.operators[index + 1]
    if (next !== undefined) targets.unshift(next.operator)
    if (targets.length > 1) return new TeeReceiver(targets)
    return targets[0] ?? discard
  }
}
