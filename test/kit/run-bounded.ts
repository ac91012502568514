import { bindPlan } from '#runtime/graph/execution-plan'
import { buildGraph } from '#runtime/graph/job-definition'
import { loadJobModule, type JobModule } from '#runtime/graph/load-module'
import { runInOneSlot } from '#runtime/testing/single-slot'

const MAX_PARALLELISM = 128

export interface RunBoundedOptions {
  readonly args?: Readonly<Record<string, unknown>>
  /** All subtasks run in the one slot, on this thread. Default 1. */
  readonly parallelism?: number
}

/**
 * Runs a bounded job to its end in this thread, in real time.
 * @throws {WeirError} what the job failed with
 */
export async function runBounded(module: JobModule, options: RunBoundedOptions = {}): Promise<void> {
  const graph = buildGraph(await loadJobModule(module), options.args ?? {})
  const { parallelism = 1 } = options
  await runInOneSlot(bindPlan(graph, { parallelism, maxParallelism: MAX_PARALLELISM }), { parallelism })
}
