import { systemClock } from '#runtime/base/clock'
import { createLogger } from '#runtime/base/logger'
import { jobManagerConfig } from '#runtime/contract/process-config'
import { JobManager } from '#runtime/job-manager/job-manager'
import { readToken } from '#runtime/net/token'
import { onStopSignal, readConfig, runProcess } from './process.ts'

runProcess('weir-job-manager', async () => {
  const config = await readConfig(jobManagerConfig)
  const logger = createLogger('job-manager', config.logLevel)
  const jobManager = new JobManager(
    config,
    await readToken(config.tokenFile),
    systemClock,
    Math.random,
    logger,
  )
  onStopSignal(logger, () => jobManager.close())
  await jobManager.open()
})
