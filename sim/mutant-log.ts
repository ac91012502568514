import type { Clock } from '#runtime/base/clock'
import type { CommitLog } from '#runtime/commit-log/commit-log'
import type { CheckpointCommands } from '#runtime/checkpoint/coordinator'
import type { CoordinatorLog } from '#runtime/checkpoint/coordinator-log'
import type { LogRecordOf } from '#runtime/contract/checkpoint-records'
import type { World } from './world.ts'

/**
 * The commit log as the coordinator gets it; under some mutations the port does what a wrong
 * coordinator would do around its append.
 */
export function mutantLog(
  log: CommitLog,
  world: World,
  clock: Clock,
  send: CheckpointCommands,
): CoordinatorLog {
  const wrong =
    world.is('commit-before-log') || world.is('commit-on-savepoint') || world.is('expire-after-append')
  if (!wrong) return log
  const attempt = () => log.state.deploy?.attempt ?? ''
  return {
    get epoch() {
      return log.epoch
    },
    get state() {
      return log.state
    },
    get fenced() {
      return log.fenced
    },
    get inDoubt() {
      return log.inDoubt
    },
    settle: (options) => log.settle(options),
    forgetRetirements: (seqs) => log.forgetRetirements(seqs),
    append: async (body, options) => {
      const { id } = body as LogRecordOf<'CHECKPOINT'>
      const permit = { checkpointId: id, epoch: log.epoch }
      if (world.is('commit-before-log') && body.kind === 'CHECKPOINT') send.complete(attempt(), permit)
      const expiry = world.is('expire-after-append')
        ? clock.after(40, () => send.abort(attempt(), id))
        : undefined
      const record = await log.append(body, options)
      expiry?.cancel()
      if (world.is('commit-on-savepoint') && body.kind === 'SAVEPOINT') send.complete(attempt(), permit)
      return record
    },
  }
}
