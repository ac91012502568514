import { rename, writeFile } from 'node:fs/promises'
import { systemClock } from '#runtime/base/clock'
import { createLogger } from '#runtime/base/logger'
import { jobManagerConfig } from '#runtime/contract/process-config'
import { openElection } from '#runtime/election/open-election'
import { JobManager } from '#runtime/job-manager/job-manager'
import { JobMetrics } from '#runtime/job-manager/metrics'
import { planJob, readModule } from '#runtime/job-manager/plan-job'
import { RestServer } from '#runtime/job-manager/rest-server'
import { tcpTransport } from '#runtime/net/tcp-transport'
import { readToken } from '#runtime/net/token'
import { probeStore } from '#runtime/storage/probe'
import { openStores } from '#runtime/storage/stores'
import { onStopSignal, readConfig, runProcess } from './process.ts'

runProcess('weir-job-manager', async () => {
  const config = await readConfig(jobManagerConfig)
  const { job, id, run, module, parallelism, expectedSlots, maxParallelism, readyFile } = config
  const logger = createLogger('job-manager', config.logLevel)
  const token = await readToken(config.tokenFile)
  const stores = openStores(config)
  const clock = systemClock
  const jobManager = new JobManager({
    config,
    token,
    stores,
    transport: tcpTransport,
    clock,
    random: Math.random,
    logger,
    openElection: () => openElection({ redis: config.redis, uid: job.uid, id, logger }),
    plan: async () =>
      planJob({
        module: await readModule(module.path, module.args),
        parallelism: parallelism ?? expectedSlots,
        maxParallelism,
      }),
    probe: () => probeStore(stores.own),
    onChange: () => server.changed(),
  })
  const metrics = new JobMetrics({ namespace: job.namespace, name: job.name, uid: job.uid })
  const server = new RestServer({ ...config.rest, token, clock, logger, source: jobManager, metrics })
  onStopSignal(logger, async () => {
    await jobManager.close()
    await server.close()
  })
  const rest = await server.listen()
  const rpc = await jobManager.open()
  logger.info({ id, run, rpc, rest, storage: stores.own.url }, 'job manager started')
  if (readyFile === undefined) return
  await writeFile(`${readyFile}.tmp`, JSON.stringify({ rpc, rest }))
  await rename(`${readyFile}.tmp`, readyFile)
})
