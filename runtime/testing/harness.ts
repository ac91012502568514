import { WeirError } from '#runtime/base/errors'
import { member } from '#runtime/base/member'
import { buildGraph, isJobDefinition, type JobDefinition } from '#runtime/graph/job-definition'
import { ProcessOperator, type ProcessFunctions } from '#runtime/operators/process'
import { NO_TIMESTAMP } from '#runtime/element/receiver'
import { planStates, type StateDescriptors, type StateHandles } from '#runtime/state/descriptors'
import { bindState, MapState } from '#runtime/state/handles'
import { KeyedContext } from '#runtime/state/keyed-context'
import { expectCall, expectTime } from './checked-call.ts'
import { OperatorHarness, type HarnessState } from './operator-harness.ts'
import { TestClock } from './test-clock.ts'

/** What `get` of each declared state gives; a map state as a Map. */
export type StateValues<D extends StateDescriptors> = {
  readonly [N in keyof D]: StateHandles<D>[N] extends MapState<infer K, infer V>
    ? Map<K, V>
    : StateHandles<D>[N] extends { get(): infer T }
      ? T
      : never
}

/** A slot looks this often after timers of processing time. */
const TICK_MS = 100

/**
 * One process step in the hands of a test: the real operator with its real state, one subtask, and
 * a clock that stands still unless `advance` lets it go on. Calls throw what the step's code
 * throws.
 */
export class StepHarness<K, T, O, D extends StateDescriptors> {
  /** What the step has emitted so far; may be emptied. */
  readonly out: O[] = []
  readonly #create: () => ProcessOperator<K, T, O, D>
  readonly #clock: TestClock
  #harness: OperatorHarness<T, O>
  #taken = 0
  #checkpointId = 0

  /** Made by `harness`; not by users. */
  constructor(create: () => ProcessOperator<K, T, O, D>, clock: TestClock, opened: OperatorHarness<T, O>) {
    this.#create = create
    this.#clock = clock
    this.#harness = opened
  }

  /** Gives the step a record. `at`: its event time in milliseconds; absent: it has none. */
  send(value: T, at: number = NO_TIMESTAMP): void {
    expectTime('send', at)
    this.#harness.send(value, at)
    this.#endBatch()
  }

  /** Lets event time come to `time` in milliseconds, and fires the event timers up to it. */
  watermark(time: number): void {
    expectTime('watermark', time)
    this.#harness.watermark(time)
    this.#endBatch()
  }

  /** Lets processing time pass, and fires its timers on the way as a slot does, each 100 ms. */
  advance(ms: number): void {
    expectTime('advance', ms, 0)
    const until = this.#clock.now() + ms
    while (this.#clock.now() < until) {
      this.#clock.advance(Math.min(TICK_MS, until - this.#clock.now()))
      this.#endBatch()
    }
  }

  /** What is stored for a key at the moment. */
  state(key: K): StateValues<D> {
    const backend = this.#harness.keyed
    if (backend === undefined) throw new WeirError('BUG', 'A process step is open and has no state.')
    const context = new KeyedContext<K>()
    context.setKey(key)
    const descriptors = (this.#harness.operator as ProcessOperator<K, T, O, D>).descriptors
    const handles = bindState(descriptors, backend, context, () => this.#clock.now())
    const values = Object.entries(handles as StateHandles<StateDescriptors>).map(
      ([name, handle]: [string, MapState<unknown, unknown> | { get(): unknown }]) => [
        name,
        handle instanceof MapState ? new Map(handle.entries()) : handle.get(),
      ],
    )
    return Object.fromEntries(values) as StateValues<D>
  }

  /**
   * Stores state and timers in the format of checkpoints, ends the step, and goes on with a new one
   * that has restored them.
   */
  async snapshotAndRestore(): Promise<void> {
    this.#harness = await openStep(this.#create, this.#clock, [await this.#end()])
    this.#taken = 0
  }

  /**
   * As an upgrade does: stores state and timers, ends the step, and goes on with another version of
   * it. This harness is of no use afterwards.
   * @throws {WeirError} CKP_RESTORE when what is stored does not fit the state it declares; what
   *   `migrate` throws
   */
  async upgradeTo<P, E extends StateDescriptors = {}>(
    functions: ProcessFunctions<K, T, P, E>,
    { key }: { readonly key: (value: T) => K },
  ): Promise<StepHarness<K, T, P, E>> {
    const create = () => new ProcessOperator(key, functions)
    const opened = await openStep(create, this.#clock, [await this.#end()])
    return new StepHarness(create, this.#clock, opened)
  }

  async #end(): Promise<HarnessState> {
    const state = await this.#harness.snapshot(++this.#checkpointId)
    await this.#harness.close()
    return state
  }

  #endBatch(): void {
    this.#harness.endBatch()
    for (const { value } of this.#harness.output.slice(this.#taken)) this.out.push(value)
    this.#taken = this.#harness.output.length
    const [failure] = this.#harness.failures
    if (failure !== undefined) throw failure
  }
}

/**
 * A harness for the functions of a process step.
 * @throws {WeirError} what opening the step throws
 */
export function harness<K, T, O = any, D extends StateDescriptors = {}>(
  functions: ProcessFunctions<K, T, O, D>,
  options: { readonly key: (value: T) => K },
): Promise<StepHarness<K, T, O, D>>
/**
 * A harness for the process step `uid` of a job, keyed as in the job.
 * @throws {WeirError} CFG_INVALID when the job has no such step; what building it throws
 */
export function harness<I>(
  job: JobDefinition<any, I>,
  uid: string,
  options?: { readonly args?: I },
): Promise<StepHarness<any, any, any, Record<string, any>>>
export async function harness(
  first: ProcessFunctions<any, any, any, any> | JobDefinition,
  second: { readonly key: (value: any) => unknown } | string,
  options: { readonly args?: Readonly<Record<string, unknown>> } = {},
): Promise<StepHarness<any, any, any, any>> {
  const create = creatorOf(first, second, options.args ?? {})
  const clock = new TestClock()
  return new StepHarness(create, clock, await openStep(create, clock, []))
}

const openStep = <K, T, O, D extends StateDescriptors>(
  create: () => ProcessOperator<K, T, O, D>,
  clock: TestClock,
  from: readonly HarnessState[],
): Promise<OperatorHarness<T, O>> =>
  OperatorHarness.open({ create, clock, states: planStates(create().descriptors) }, from)

function creatorOf(
  first: ProcessFunctions<any, any, any, any> | JobDefinition,
  second: { readonly key: (value: any) => unknown } | string,
  args: Readonly<Record<string, unknown>>,
): () => ProcessOperator<any, any, any, any> {
  const usage = 'harness(job, uid) or harness({ onRecord }, { key: record => key })'
  if (isJobDefinition(first)) {
    expectCall(typeof second === 'string', 'harness', second, `the uid of a process step: ${usage}`)
    return stepOf(first, String(second), args)
  }
  expectCall(typeof member(first, 'onRecord') === 'function', 'harness', first, usage)
  const key = member(second, 'key')
  expectCall(typeof key === 'function', 'harness', second, usage)
  return () =>
    new ProcessOperator(key as (value: any) => unknown, first as ProcessFunctions<any, any, any, any>)
}

function stepOf(job: JobDefinition, uid: string, args: Readonly<Record<string, unknown>>) {
  const steps = buildGraph(job, args).nodes.filter(({ kind }) => kind === 'process')
  const node = steps.find(({ id }) => id === uid)
  if (node === undefined)
    throw new WeirError(
      'CFG_INVALID',
      `harness: the job has no process step "${uid}". Expected one of: ` +
        `${steps.map(({ id }) => id).join(', ') || 'none, it has no such step; use runJob'}.`,
    )
  return node.create as () => ProcessOperator<any, any, any, any>
}
