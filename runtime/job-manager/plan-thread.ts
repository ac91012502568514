import { parentPort, workerData } from 'node:worker_threads'
import { present, toErrorData } from '#runtime/base/errors'
import { buildGraph } from '#runtime/graph/job-definition'
import { loadJobModule } from '#runtime/graph/load-module'
import { buildPlan } from '#runtime/graph/execution-plan'
import { tryState } from '#runtime/restore/trial'
import type { PlanAnswer, PlanTask } from './plan-job.ts'

/** Entry of the thread that evaluates the job's module in the JobManager. */
const { input, trials }: PlanTask = workerData
const { module, parallelism, maxParallelism } = input

async function answer(): Promise<PlanAnswer> {
  try {
    const graph = buildGraph(await loadJobModule(module), module.args)
    for (const trial of trials) {
      const node = graph.nodes.find(({ id }) => id === trial.uid)
      const { location, create } = present(node, `the step ${trial.uid}`)
      tryState(trial, { operator: create(), location, maxParallelism })
    }
    return { plan: buildPlan(graph, { parallelism, maxParallelism }) }
  } catch (error) {
    return { error: toErrorData(error) }
  }
}

parentPort?.postMessage(await answer())
