import { systemClock } from '#runtime/base/clock'
import { createLogger } from '#runtime/base/logger'
import { taskManagerConfig } from '#runtime/contract/process-config'
import { readToken } from '#runtime/net/token'
import { TaskManager } from '#runtime/task-manager/task-manager'
import { onStopSignal, readConfig, runProcess } from './process.ts'

runProcess('weir-task-manager', async () => {
  const config = await readConfig(taskManagerConfig)
  const logger = createLogger('task-manager', config.logLevel)
  const taskManager = new TaskManager(
    config,
    await readToken(config.tokenFile),
    systemClock,
    Math.random,
    logger,
  )
  onStopSignal(logger, (signal) => taskManager.leave(signal))
  await taskManager.open()
})
