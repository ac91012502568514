import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { resolve as absolute } from 'node:path'
import { Worker } from 'node:worker_threads'
import { entryUrl } from '#runtime/base/entry'
import { systemClock } from '#runtime/base/clock'
import { WeirError, fromErrorData, messageOf, type ErrorData } from '#runtime/base/errors'
import type { ExecutionPlan } from '#runtime/contract/job-plan'
import type { Deployment } from '#runtime/contract/rpc'
import type { StateTrial } from '#runtime/restore/trial'

/** What a plan is made from. */
export interface PlanInput {
  readonly module: Deployment['module']
  readonly parallelism: number
  readonly maxParallelism: number
}
export interface PlannedJob extends PlanInput {
  readonly plan: ExecutionPlan
}
/** What the thread is given. */
export interface PlanTask {
  readonly input: PlanInput
  readonly trials: readonly StateTrial[]
}
export type PlanAnswer = { readonly plan: ExecutionPlan } | { readonly error: ErrorData }

const PLAN_LIMIT_MS = 30_000
const ONLY_BUILD = 'The module, and the function given to defineJob, must only build the graph.'

/**
 * Reads the job's module once; every slot runs these very bytes, so a file that changes later
 * changes nothing. @throws {WeirError} CFG_MODULE
 */
export async function readModule(
  path: string,
  args: Readonly<Record<string, unknown>>,
): Promise<Deployment['module']> {
  try {
    const source = await readFile(path, 'utf8')
    return moduleOfText(absolute(path), source, args)
  } catch (cause) {
    throw new WeirError('CFG_MODULE', `Cannot read the job module ${path}: ${messageOf(cause)}`, { cause })
  }
}

/** `name`: its path as the user knows it. */
export const moduleOfText = (
  name: string,
  source: string,
  args: Readonly<Record<string, unknown>>,
): Deployment['module'] => ({
  name,
  source,
  sha256: createHash('sha256').update(source).digest('hex'),
  args,
})

/**
 * Evaluates the user's module in a thread of its own, with a time limit. `trials`: stored state
 * that the job is to take over.
 * @throws {WeirError} CFG_MODULE, CFG_GRAPH, CFG_INVALID, USR_TIMEOUT; CKP_RESTORE when it cannot
 *   take that state over
 */
export async function planJob(input: PlanInput, trials: readonly StateTrial[] = []): Promise<PlannedJob> {
  const workerData: PlanTask = { input, trials }
  const worker = new Worker(entryUrl('./plan-thread', import.meta.url), { workerData, name: 'plan' })
  const { promise, resolve, reject } = Promise.withResolvers<PlanAnswer>()
  const { name } = input.module
  const limit = systemClock.after(PLAN_LIMIT_MS, () => {
    const text = `${name} did not finish building its graph within ${PLAN_LIMIT_MS / 1000} s.`
    reject(new WeirError('USR_TIMEOUT', `${text} It loops, or waits. ${ONLY_BUILD}`))
  })
  worker.once('message', resolve)
  worker.once('error', (cause) => {
    const text = `${name} failed while building its graph: ${messageOf(cause)}`
    reject(new WeirError('CFG_MODULE', text, { cause }))
  })
  worker.once('exit', (code) => {
    const text = `${name} ended the process (code ${code}) while building its graph.`
    reject(new WeirError('CFG_MODULE', `${text} It must not end the process. ${ONLY_BUILD}`))
  })
  try {
    const answer = await promise
    if ('error' in answer) throw fromErrorData(answer.error)
    return { ...input, plan: answer.plan }
  } finally {
    limit.cancel()
    await worker.terminate()
  }
}
