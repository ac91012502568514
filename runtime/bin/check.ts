/**
 * Checks a run that the operator is about to begin, in a pod like those of its JobManagers. Code 0:
 * it can begin. Code 2, with one sentence: it would fail. Any other code: that could not be found
 * out.
 */
import { jobManagerConfig } from '#runtime/contract/process-config'
import { checkRun } from '#runtime/job-manager/check-run'
import { planJob, readModule } from '#runtime/job-manager/plan-job'
import { openStores } from '#runtime/storage/stores'
import { readConfig, runProcess } from './process.ts'

runProcess('weir-check', async () => {
  const config = await readConfig(jobManagerConfig)
  const { run, module, parallelism, expectedSlots, maxParallelism } = config
  const stores = openStores(config)
  const input = {
    module: await readModule(module.path, module.args),
    parallelism: parallelism ?? expectedSlots,
    maxParallelism,
  }
  const { from = 'nothing' } = await checkRun(config, stores, (trials) => planJob(input, trials))
  process.stdout.write(`run ${run} can start from ${from}\n`)
  await stores.own.close()
})
