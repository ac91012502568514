import { systemClock } from '#runtime/base/clock'
import { createLogger } from '#runtime/base/logger'
import { taskManagerConfig } from '#runtime/contract/process-config'
import { tcpTransport } from '#runtime/net/tcp-transport'
import { readToken } from '#runtime/net/token'
import { openStores } from '#runtime/storage/stores'
import { TaskManager } from '#runtime/task-manager/task-manager'
import { workerSlots } from '#runtime/task-manager/worker-slots'
import { onStopSignal, readConfig, runProcess } from './process.ts'

/** To whoever has started this process and listens (`weir run`), and to standard output. */
function print(text: string): void {
  process.stdout.write(text)
  if (process.connected) process.send?.({ type: 'printed', text })
}

runProcess('weir-task-manager', async () => {
  const config = await readConfig(taskManagerConfig)
  const logger = createLogger('task-manager', config.logLevel)
  const taskManager = new TaskManager({
    config,
    token: await readToken(config.tokenFile),
    stores: openStores(config),
    transport: tcpTransport,
    threads: workerSlots(print),
    clock: systemClock,
    random: Math.random,
    logger,
  })
  onStopSignal(logger, (signal) => taskManager.leave(signal))
  await taskManager.open()
})
