import { keyGroupOf, subtaskOfKeyGroup } from '#runtime/element/key-group'
import {
  OperatorHarness,
  type Emitted,
  type HarnessOptions,
  type HarnessState,
} from '#runtime/testing/operator-harness'

/** One call on an operator. */
export type Step<I> = { readonly send: I; readonly at?: number } | { readonly watermark: number }

export interface Cut<I> {
  /** Snapshot and restore after this many steps; absent: never. */
  readonly after?: number
  /** Subtasks after the restore; records go to the one that owns their key. Default 1. */
  readonly rescaleTo?: number
  /** Needed with `rescaleTo`. */
  readonly keyOf?: (value: I) => unknown
}

const MAX_PARALLELISM = 128

/**
 * Runs the steps, each a batch of its own, and gives back everything emitted: with subtasks, that
 * of subtask 0 first within each step.
 */
export async function runSteps<I, O>(
  create: HarnessOptions<I, O>['create'],
  steps: readonly Step<I>[],
  cut: Cut<I> = {},
): Promise<Emitted<O>[]> {
  const after = cut.after ?? steps.length
  const first = await OperatorHarness.open({ create })
  for (const step of steps.slice(0, after)) apply(first, step)
  if (cut.after === undefined) {
    await first.close()
    return first.output
  }
  const state = await first.snapshot(1)
  await first.close()
  const rest = await runRestored<I, O>(create, steps.slice(after), state, cut)
  return [...first.output, ...rest]
}

async function runRestored<I, O>(
  create: HarnessOptions<I, O>['create'],
  steps: readonly Step<I>[],
  state: HarnessState,
  cut: Cut<I>,
): Promise<Emitted<O>[]> {
  const { rescaleTo: parallelism = 1 } = cut
  const subtasks = await Promise.all(
    Array.from({ length: parallelism }, (_, subtask) =>
      OperatorHarness.open({ create, subtask, parallelism, attempt: '1.2' }, [state]),
    ),
  )
  const output: Emitted<O>[] = []
  for (const step of steps)
    for (const [i, harness] of subtasks.entries()) {
      const before = harness.output.length
      if ('watermark' in step || ownerOf(step.send, cut, parallelism) === i) apply(harness, step)
      output.push(...harness.output.slice(before))
    }
  for (const harness of subtasks) await harness.close()
  return output
}

function ownerOf<I>(value: I, { keyOf }: Cut<I>, parallelism: number): number {
  return keyOf === undefined
    ? 0
    : subtaskOfKeyGroup(keyGroupOf(keyOf(value), MAX_PARALLELISM), parallelism, MAX_PARALLELISM)
}

function apply<I>(harness: OperatorHarness<I>, step: Step<I>): void {
  if ('watermark' in step) harness.watermark(step.watermark)
  else harness.send(step.send, step.at)
  harness.endBatch()
}
