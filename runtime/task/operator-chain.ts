import { present, type WeirError } from '#runtime/base/errors'
import type { Clock } from '#runtime/base/clock'
import type { Logger } from '#runtime/base/logger'
import type { PlanState, PlanVertex } from '#runtime/contract/job-plan'
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
import { stateOfTable } from '#runtime/state/data-check'
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
  readonly location: string
  readonly states: readonly PlanState[]
  readonly operator: StreamOperator
  readonly lists: ListStateHook[]
  /** Undefined until the operator asks for it. */
  keyed: HeapBackend | undefined
  readonly counters: ConnectorCounters
}

export interface ChainPlace {
  readonly vertex: PlanVertex
  /** The code of its operators, in their order. */
  readonly create: readonly (() => StreamOperator)[]
  readonly subtask: number
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
  readonly #holders: readonly ChainedOperator[]
  readonly #batchers: readonly ChainedOperator[]
  readonly #outputsOf: (index: number) => readonly EdgeOutput[]
  #warnings: readonly DropWarnings[] = []
  readonly #subtask: number

  constructor({ vertex, create, subtask }: ChainPlace, outputsOf: (index: number) => readonly EdgeOutput[]) {
    this.#outputsOf = outputsOf
    this.#subtask = subtask
    this.operators = vertex.operators.map((o, i) => ({
      uid: o.uid,
      formerly: o.formerly,
      location: o.location,
      states: o.states,
      operator: present(create[i], `the code of ${o.uid}`)(),
      lists: [],
      keyed: undefined,
      counters: noCounts(),
    }))
    this.head = present(this.operators[0], `the first operator of ${vertex.id}`).operator
    this.#batchers = this.operators.filter((o) => o.operator.onBatchEnd !== undefined)
    this.#holders = this.operators.filter((o) => o.operator.isBusy !== undefined)
  }

  /**
   * Opens the last operator first, so that whatever an operator emits while opening finds the next
   * one ready.
   */
  async open(environment: ChainEnvironment): Promise<void> {
    const { clock, logger, subtask } = environment
    this.#warnings = this.operators.map(
      ({ uid, counters }) => new DropWarnings(counters, logger.child({ uid, subtask }), clock),
    )
    for (const [i, chained] of [...this.operators.entries()].toReversed()) {
      try {
        await chained.operator.open(this.#context(chained, this.#receiverAfter(i), environment))
      } catch (cause) {
        throw this.#failed(chained, cause)
      }
    }
  }

  onBatchEnd(): void {
    for (const chained of this.#batchers) this.#call(chained, () => chained.operator.onBatchEnd?.())
  }

  /** A few times a second: says what was dropped. */
  tick(): void {
    for (const warnings of this.#warnings) warnings.check()
  }

  isBusy(): boolean {
    for (const chained of this.#holders)
      if (this.#call(chained, () => chained.operator.isBusy?.()) === true) return true
    return false
  }

  onEnd(): void {
    for (const chained of this.operators) this.#call(chained, () => chained.operator.onEnd?.())
  }

  async onCheckpointComplete(permit: CommitPermit): Promise<void> {
    for (const chained of this.operators)
      try {
        await chained.operator.onCheckpointComplete?.(permit)
      } catch (cause) {
        throw this.#failed(chained, cause)
      }
  }

  async close(): Promise<void> {
    for (const warnings of this.#warnings) warnings.end()
    for (const { operator } of this.operators) await operator.close?.()
  }

  /** Of the first operator, unless another has named itself: what the task could not place. */
  failed(cause: unknown): WeirError {
    return this.#failed(present(this.operators[0], 'the first operator of a chain'), cause)
  }

  #call<T>(chained: ChainedOperator, work: () => T): T {
    try {
      return work()
    } catch (cause) {
      throw this.#failed(chained, cause)
    }
  }

  #failed({ uid, location }: ChainedOperator, cause: unknown): WeirError {
    return userCodeError({ uid, location, subtask: this.#subtask }, cause)
  }

  #context(chained: ChainedOperator, out: Receiver, environment: ChainEnvironment): OperatorContext {
    const { uid, formerly, location } = chained
    const { subtask, parallelism, maxParallelism, restore } = environment
    const logger = environment.logger.child({ uid, subtask })
    return {
      job: environment.job,
      uid,
      formerly,
      location,
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
            onOtherKeys: (table, kind, restored) => logger.warn(otherKeys(table, kind, restored)),
          })
          restore.keyed(uid, chained.keyed, chained.operator.evolutions ?? {})
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
      fail: (error) => environment.fail(this.#failed(chained, error)),
      clock: environment.clock,
      random: environment.random,
      logger,
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

const otherKeys = (table: string, kind: string, restored: readonly string[]): string =>
  `${stateOfTable(table)} was restored with keys of kind ${restored.join(' and ')}, and the first of kind ` +
  `${kind} has come: a key finds only what was stored under its own kind. If keyBy gives another kind ` +
  'than before the upgrade, what is stored will not be found'
