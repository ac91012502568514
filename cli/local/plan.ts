import { checkRestorable, matchUids, openForeign } from '#runtime/restore/restore-point'
import type { Manifest } from '#runtime/contract/checkpoint-records'
import type { ExecutionPlan } from '#runtime/contract/job-plan'
import { formatPlan } from '#runtime/graph/plan-text'
import { moduleOfText, planJob, type PlanInput, readModule } from '#runtime/job-manager/plan-job'
import { trialsOf } from '#runtime/restore/trial'
import { MemoryStore } from '#runtime/storage/memory-store'
import type { Output } from '#cli/output'
import { type JobFileOptions, readLocalJob } from './job-file.ts'
import { type LocalJob, moduleWarnings } from './local-job.ts'
import { environmentS3 } from './storage-path.ts'

/**
 * `weir plan`: the plan, and with --from what of the savepoint's state it takes over.
 * @throws {WeirError} when the job or the restore is not valid
 */
export async function showPlan(
  output: Output,
  file: string,
  options: JobFileOptions,
  cwd: string,
): Promise<void> {
  const job = await readLocalJob(file, options, cwd)
  for (const warning of moduleWarnings(job)) output.progress(`warning: ${warning}`)
  const plan = await checkPlan(job)
  const path = job.restore?.path
  if (path === undefined) return output.result(plan, formatPlan(plan))
  const manifest = await checkRestore(path, job, plan)
  const { stored, unmatched } = matchUids(manifest, plan)
  const lines = Object.entries(stored).map(([uid, from]) => `  ${uid}${uid === from ? '' : ` (was ${from})`}`)
  output.result(
    { plan, restore: { path, stored, dropped: unmatched } },
    [
      formatPlan(plan),
      '',
      `${path} can be restored; state taken over by:`,
      ...(lines.length === 0 ? ['  nothing'] : lines),
      ...(unmatched.length === 0 ? [] : [`state dropped: ${unmatched.join(', ')}`]),
    ].join('\n'),
  )
}

/**
 * Whether the savepoint or checkpoint at `path` is there and fits the job; state that would be
 * converted is tried, in one file of each step.
 * @throws {WeirError} CKP_RESTORE, STO_CORRUPT, CFG_INVALID
 */
export async function checkRestore(path: string, job: LocalJob, plan: ExecutionPlan): Promise<Manifest> {
  const access = job.s3 ?? environmentS3()
  // Brings the S3 client, which most plans do without.
  const { openStoreAt } = await import('#runtime/storage/open-store')
  const point = await openForeign(path, { own: new MemoryStore(), at: (url) => openStoreAt(url, access) })
  try {
    checkRestorable(point.manifest, path, plan, job.restore?.allowNonRestoredState ?? false)
    const trials = await trialsOf(point, plan)
    if (trials.length > 0) await planJob(await planInputOf(job), trials)
    return point.manifest
  } finally {
    await point.close()
  }
}

/**
 * Builds the plan as the JobManager will, in a thread with a time limit.
 * @throws {WeirError} CFG_MODULE, CFG_GRAPH, CFG_INVALID, USR_TIMEOUT
 */
export async function checkPlan(job: LocalJob): Promise<ExecutionPlan> {
  return (await planJob(await planInputOf(job))).plan
}

const planInputOf = async (job: LocalJob): Promise<PlanInput> => ({
  module: await moduleOf(job),
  parallelism: job.parallelism ?? job.taskManagers * job.slots,
  maxParallelism: job.maxParallelism ?? 128,
})

async function moduleOf({ name, module, args }: LocalJob): Promise<PlanInput['module']> {
  if ('bundle' in module) return moduleOfText(module.path, module.bundle, args)
  if ('path' in module) return await readModule(module.path, args)
  return moduleOfText(`${name}.ts`, module.source, args)
}
