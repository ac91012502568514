import { systemClock } from '#runtime/base/clock'
import { createLogger } from '#runtime/base/logger'
import { taskManagerConfig } from '#runtime/contract/process-config'
import { tcpTransport } from '#runtime/net/tcp-transport'
import { readToken } from '#runtime/net/token'
import { openStores } from '#runtime/storage/stores'
import { TaskManager } from '#runtime/task-manager/task-manager'
import { workerSlots } from '#runtime/task-manager/worker-slots'
import { onStopSignal, readConfig, runProcess } from './process.ts'

runProcess('weir-task-manager', async () => {
  const config = await readConfig(taskManagerConfig)
  const logger = createLogger('task-manager', config.logLevel)
  const taskManager = new TaskManager({
    config,
    token: await readToken(config.tokenFile),
    stores: openStores(config),
    transport: tcpTransport,
    threads: workerSlots,
    clock: systemClock,
    random: Math.random,
    logger,
  })
  onStopSignal(logger, (signal) => taskManager.leave(signal))
  await taskManager.open()
})
