import { WeirError } from '#runtime/base/errors'
import { readLog } from '#runtime/commit-log/log-reader'
import type { JobManagerConfig } from '#runtime/contract/process-config'
import { chooseRestore, verifyRestore, type RestoreChoice } from '#runtime/restore/choose-restore-point'
import { openRestorePoint } from '#runtime/restore/restore-point'
import { trialsOf, type StateTrial } from '#runtime/restore/trial'
import type { RestorePoint } from '#runtime/contract/checkpoint-records'
import type { ExecutionPlan } from '#runtime/contract/job-plan'
import type { Stores } from '#runtime/storage/stores'
import type { PlannedJob } from './plan-job.ts'

/** A running job retires checkpoints: what the log named may be gone when it is read. */
const TRIES = 3

export interface CheckedRun {
  readonly planned: PlannedJob
  /** URL of what the run would start from; undefined: it would start empty. */
  readonly from: string | undefined
}

/**
 * What the first leader of a run does before it deploys, while the run before it still goes on: the
 * plan is built, what the run would start from is looked at, and what is to be converted of it is
 * tried. Writes nothing, and elects nobody.
 * @throws {WeirError} what that leader would fail with: CFG_MODULE, CFG_GRAPH, CFG_INVALID,
 *   CKP_RESTORE, STO_CORRUPT; STO_UNAVAILABLE, STO_DENIED where it cannot be known
 */
export async function checkRun(
  config: Pick<JobManagerConfig, 'job' | 'run' | 'restore' | 'allowNonRestoredState'>,
  stores: Stores,
  plan: (trials?: readonly StateTrial[]) => Promise<PlannedJob>,
): Promise<CheckedRun> {
  const planned = await plan()
  const { job, run, restore } = config
  const allowNonRestoredState = config.allowNonRestoredState ?? restore?.allowNonRestoredState ?? false
  for (let tries = 1; ; tries++) {
    const { state: log } = await readLog(stores.own)
    const choice = chooseRestore(log, run, restore)
    try {
      const options = { stores, job, log, plan: planned.plan, allowNonRestoredState }
      const { point, url } = await verifyRestore(choice, options)
      const trials = await trialsAt(point, stores, planned.plan)
      if (trials.length > 0) await plan(trials)
      return { planned, from: url }
    } catch (error) {
      if (tries === TRIES || !mayHaveBeenRetired(choice, error)) throw error
    }
  }
}

async function trialsAt(
  point: RestorePoint,
  stores: Stores,
  plan: ExecutionPlan,
): Promise<readonly StateTrial[]> {
  const open = await openRestorePoint(point, stores)
  if (open === undefined) return []
  try {
    return await trialsOf(open, plan)
  } finally {
    await open.close()
  }
}

const mayHaveBeenRetired = (choice: RestoreChoice, error: unknown): boolean =>
  choice.kind === 'checkpoint' && error instanceof WeirError && error.code === 'STO_MISSING'
