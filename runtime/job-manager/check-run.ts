import { WeirError } from '#runtime/base/errors'
import { readLog } from '#runtime/commit-log/log-reader'
import type { JobManagerConfig } from '#runtime/contract/process-config'
import { chooseRestore, verifyRestore, type RestoreChoice } from '#runtime/restore/choose-restore-point'
import { trialsOf, type StateTrial } from '#runtime/restore/trial'
import type { Stores } from '#runtime/storage/stores'
import type { PlannedJob } from './plan-job.ts'

/** A running job retires checkpoints: what the log named may be gone when it is read. */
const TRIES = 3

export interface CheckedRun {
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
      const { url } = await verifyRestore(choice, options, async (open) => {
        const trials = await trialsOf(open, planned.plan)
        if (trials.length > 0) await plan(trials)
      })
      return { from: url }
    } catch (error) {
      if (tries === TRIES || !mayHaveBeenRetired(choice, error)) throw error
    }
  }
}

const mayHaveBeenRetired = (choice: RestoreChoice, error: unknown): boolean =>
  choice.kind === 'checkpoint' && error instanceof WeirError && error.code === 'STO_MISSING'
