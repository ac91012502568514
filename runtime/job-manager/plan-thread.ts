import { parentPort, workerData } from 'node:worker_threads'
import { toErrorData } from '#runtime/base/errors'
import { buildGraph } from '#runtime/graph/job-definition'
import { loadJobModule } from '#runtime/graph/load-module'
import { buildPlan } from '#runtime/graph/execution-plan'
import type { PlanAnswer, PlanInput } from './plan-job.ts'

/** Entry of the thread that evaluates the job's module in the JobManager. */
const { module, parallelism, maxParallelism }: PlanInput = workerData

async function answer(): Promise<PlanAnswer> {
  try {
    const graph = buildGraph(await loadJobModule(module), module.args)
    return { plan: buildPlan(graph, { parallelism, maxParallelism }) }
  } catch (error) {
    return { error: toErrorData(error) }
  }
}

parentPort?.postMessage(await answer())
