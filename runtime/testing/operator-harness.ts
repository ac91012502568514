import type { Clock } from '#runtime/base/clock'
import { silentLogger, type Logger } from '#runtime/base/logger'
import { noCounts } from '#runtime/connectors/connector-context'
import { WeirError } from '#runtime/base/errors'
import type { Lineage, StoredState } from '#runtime/contract/checkpoint-records'
import type { PlanState } from '#runtime/contract/job-plan'
import { matchStep, type StatefulStep } from '#runtime/restore/match-states'
import { restoreKeyed } from '#runtime/restore/subtask-restore'
import type { StateEvolutions } from '#runtime/state/evolution'
import { storedStates } from '#runtime/task/subtask-snapshot'
import type { AttemptId, CheckpointId } from '#runtime/contract/ids'
import type { SinkHistory } from '#runtime/contract/rpc'
import { keyGroupRange } from '#runtime/element/key-group'
import { NO_TIMESTAMP, type Receiver } from '#runtime/element/receiver'
import type { PollResult } from '#runtime/element/receiver'
import type { OperatorContext, StreamOperator } from '#runtime/operators/stream-operator'
import { HeapBackend } from '#runtime/state/heap-backend'
import type { KeyedSnapshot, StateFileReader } from '#runtime/state/keyed-state'
import { encodeListSection, readListState, redistribute } from '#runtime/state/list-state'
import { encodeStateFile, openStateFile } from '#runtime/state/snapshot-format'
import { SystemAccess, type ConnectorAccess } from '#runtime/storage/connector-access'
import { TestClock } from './test-clock.ts'

export interface HarnessOptions<I, O> {
  readonly create: () => StreamOperator<I, O>
  readonly uid?: string
  readonly subtask?: number
  readonly parallelism?: number
  readonly maxParallelism?: number
  readonly attempt?: AttemptId
  readonly jobUid?: string
  /** Earlier uids of the operator. */
  readonly formerly?: readonly string[]
  /** Of the step in the job's module. */
  readonly location?: string
  /** The state that it declares: what is restored must fit. Default: it is not looked at. */
  readonly states?: readonly PlanState[]
  /** Default: a clock that stands still. */
  readonly clock?: Clock
  /** Default: the machine's disk, no buckets. */
  readonly access?: ConnectorAccess
  readonly logger?: Logger
  /** What the given states are to this job. Default: succession. */
  readonly lineage?: Lineage
  readonly sinks?: SinkHistory
}

/** State of one subtask as the bytes of a state file. */
export interface HarnessState {
  readonly subtask: number
  readonly parallelism: number
  readonly checkpointId: CheckpointId
  readonly stored: readonly StoredState[]
  readonly file: Uint8Array
}

export interface Emitted<O> {
  readonly value: O
  readonly timestamp: number
}

/**
 * Runs one StreamOperator in one subtask as a task would, on the real heap backend and the real
 * state format, and collects what it emits. For tests: feed records, watermarks and polls, take the
 * state at any point, open another harness from it, at another parallelism too.
 */
export class OperatorHarness<I = any, O = any> implements AsyncDisposable {
  readonly output: Emitted<O>[] = []
  readonly watermarks: number[] = []
  /** Times that idleness was emitted. */
  idles = 0
  /** What was said of splits: `1 added`. */
  readonly splits: string[] = []
  /** What the operator failed the task with. */
  readonly failures: unknown[] = []
  readonly counters = noCounts()
  readonly operator: StreamOperator<I, O>
  readonly #options: HarnessOptions<I, O>
  readonly #lists: {
    readonly name: string
    readonly mode: 'split' | 'union'
    readonly snapshot: (id: number) => readonly unknown[] | Promise<readonly unknown[]>
  }[] = []
  #keyed: HeapBackend | undefined
  #woken: (() => void) | undefined
  #isAwake = false
  #closed = false

  private constructor(options: HarnessOptions<I, O>) {
    this.#options = options
    this.operator = options.create()
  }

  /** `states`: of every subtask of the parallelism that took them; none: a fresh start. */
  static async open<I, O>(
    options: HarnessOptions<I, O>,
    states: readonly HarnessState[] = [],
  ): Promise<OperatorHarness<I, O>> {
    const harness = new OperatorHarness<I, O>(options)
    await harness.operator.open(harness.#context(states))
    return harness
  }

  /** Of the operator; undefined as long as it has asked for none. */
  get keyed(): HeapBackend | undefined {
    return this.#keyed
  }

  /** The values emitted. */
  get values(): O[] {
    return this.output.map((o) => o.value)
  }

  send(value: I, timestamp: number = NO_TIMESTAMP): void {
    this.operator.onRecord(value, timestamp)
  }

  watermark(watermark: number): void {
    this.operator.onWatermark(watermark)
  }

  idle(): void {
    this.operator.onIdle?.()
  }

  endBatch(): void {
    this.operator.onBatchEnd?.()
  }

  poll(): PollResult | undefined {
    const result = this.operator.poll?.()
    this.operator.onBatchEnd?.()
    return result
  }

  /**
   * Polls until the operator says `done`, or `until` holds; waits for its wake-ups in between.
   * @throws what the operator failed with
   */
  async pollAll(until: () => boolean = () => false): Promise<void> {
    for (;;) {
      if (this.failures.length > 0) throw this.failures[0]
      if (until()) return
      const result = this.poll()
      if (result === 'done' || until()) return
      if (result === 'idle') await this.woken()
    }
  }

  /** Resolves at the next wake-up or failure, at once if there was one since the last call. */
  async woken(): Promise<void> {
    if (!this.#isAwake) await new Promise<void>((resolve) => (this.#woken = resolve))
    this.#isAwake = false
  }

  /** The state as of now; what lists give may take its time. */
  async snapshot(checkpointId: CheckpointId): Promise<HarnessState> {
    const { uid, subtask, parallelism } = this.#place()
    const frozen = this.#keyed?.snapshot(checkpointId, 0)
    const lists = this.#lists.map(({ name, mode, snapshot }) => ({
      name,
      mode,
      items: snapshot(checkpointId),
    }))
    const listSections = lists.map(async ({ name, mode, items }) =>
      encodeListSection(uid, name, mode, await items),
    )
    const sections = [
      ...(frozen === undefined ? [] : finish(frozen).sections()),
      ...(await Promise.all(listSections)),
    ]
    return {
      subtask,
      parallelism,
      checkpointId,
      stored: storedStates({ uid, states: this.#options.states ?? [], keyed: this.#keyed }),
      file: encodeStateFile({ mode: 'full', sections }, { compress: false }),
    }
  }

  /** The checkpoint is in the log. */
  async complete(checkpointId: CheckpointId, epoch = 1): Promise<void> {
    await this.operator.onCheckpointComplete?.({ checkpointId, epoch })
  }

  end(): void {
    this.operator.onEnd?.()
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.operator.close?.()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #place() {
    const { uid = 'operator', subtask = 0, parallelism = 1, maxParallelism = 128 } = this.#options
    return { uid, formerly: this.#options.formerly ?? [], subtask, parallelism, maxParallelism }
  }

  #wake(): void {
    this.#isAwake = true
    this.#woken?.()
    this.#woken = undefined
  }

  #context(states: readonly HarnessState[]): OperatorContext<O> {
    const { uid, formerly, subtask, parallelism } = this.#place()
    const { clock = new TestClock(), attempt = '1.1', jobUid = 'job-uid' } = this.#options
    const restored = new RestoredState(states, uid)
    const keyed = (): HeapBackend => (this.#keyed ??= this.#openKeyed(restored, clock))
    const out: Receiver<O> = {
      onRecord: (value, timestamp) => void this.output.push({ value, timestamp }),
      onWatermark: (watermark) => void this.watermarks.push(watermark),
      onIdle: () => void this.idles++,
      onSplit: (split, change) => void this.splits.push(`${split} ${change}`),
    }
    return {
      job: { namespace: 'default', name: 'job', uid: jobUid },
      uid,
      formerly,
      location: this.#options.location,
      subtask,
      parallelism,
      attempt,
      restoredFrom: states[0]?.checkpointId ?? 0,
      lineage: this.#options.lineage ?? 'succession',
      sinks: this.#options.sinks ?? { committedUpTo: 0, savepoints: [] },
      progress: () => undefined,
      out,
      get keyed() {
        return keyed()
      },
      listState: <T>(
        name: string,
        mode: 'split' | 'union',
        snapshot: (id: number) => readonly T[] | Promise<readonly T[]>,
      ) => {
        this.#lists.push({ name, mode, snapshot })
        return { restored: restored.items(name, mode, this.#place()) as readonly T[] }
      },
      wake: () => this.#wake(),
      fail: (error) => {
        this.failures.push(error)
        this.#wake()
      },
      clock,
      random: () => 0.5,
      logger: this.#options.logger ?? silentLogger,
      access: this.#options.access ?? new SystemAccess(undefined, clock),
      counters: this.counters,
    }
  }

  #openKeyed(restored: RestoredState, clock: Clock): HeapBackend {
    const { uid, subtask, parallelism, maxParallelism } = this.#place()
    const backend = new HeapBackend({
      uid,
      keyGroups: keyGroupRange(subtask, parallelism, maxParallelism),
      maxParallelism,
      monotonic: () => clock.monotonic(),
    })
    const { states, location = '' } = this.#options
    const evolutions = this.operator.evolutions ?? {}
    restored.into(backend, states === undefined ? undefined : { uid, location, states }, evolutions)
    return backend
  }
}

/** The states that an operator is opened from. */
class RestoredState {
  readonly #uid: string
  readonly #files: readonly { readonly state: HarnessState; readonly reader: StateFileReader }[]

  constructor(states: readonly HarnessState[], uid: string) {
    this.#uid = uid
    this.#files = states.map((state) => ({ state, reader: openStateFile(state.file) }))
  }

  /** @throws {WeirError} CKP_RESTORE when the step's state is not what is stored */
  into(backend: HeapBackend, step: StatefulStep | undefined, evolutions: StateEvolutions): void {
    const own = this.#files.flatMap(({ state }) => state.stored)
    const { changes, faults } = step === undefined ? { changes: {}, faults: [] } : matchStep(step, own)
    if (faults.length > 0) throw new WeirError('CKP_RESTORE', `Cannot restore: ${faults.join('\n')}`)
    const files = this.#files.map(({ reader }) => reader)
    restoreKeyed(backend, files, { stored: this.#uid, changes, evolutions })
  }

  /** Of a list state, for one subtask. */
  items(
    name: string,
    mode: 'split' | 'union',
    { subtask, parallelism }: { readonly subtask: number; readonly parallelism: number },
  ): readonly unknown[] {
    const oldParallelism = this.#files[0]?.state.parallelism ?? 0
    const perOld: unknown[][] = Array.from({ length: oldParallelism }, () => [])
    for (const { state, reader } of this.#files)
      perOld[state.subtask] = readListState(reader, this.#uid, name)?.items ?? []
    if (mode === 'union') return perOld.flat()
    return (perOld.length === parallelism ? perOld : redistribute(perOld, parallelism))[subtask] ?? []
  }
}

function finish(snapshot: KeyedSnapshot): KeyedSnapshot {
  while (!snapshot.step(1000));
  return snapshot
}
