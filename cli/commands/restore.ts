import type { Command } from 'commander'
import { type OutputOptions, TARGET, withTarget } from '#cli/command-options'
import { type CliContext, targetOf } from '#cli/context'
import type { TargetOptions } from '#cli/target'

interface RestoreOptions extends TargetOptions, OutputOptions {
  readonly allowNonRestoredState?: boolean
}

export function registerRestore(program: Command, cli: CliContext): void {
  withTarget(program.command('restore'))
    .summary('go back to a savepoint')
    .description(
      'Go back to a savepoint. A local job must be stopped; it is run in the foreground from there, ' +
        'with the file and arguments of its last run.\n' +
        'Of a StreamJob, spec.restore is set and spec.state is Running: ' +
        'the operator starts the job from it, once.',
    )
    .argument('<job>', TARGET)
    .argument('<savepoint>', 'directory or URL of a savepoint, or svp/NAME for a Savepoint object')
    .option('--allow-non-restored-state', 'drop state that no operator takes over')
    .action(async (name: string, savepoint: string, options: RestoreOptions) => {
      const target = await targetOf(cli, name, options)
      if (target.kind === 'cluster') {
        const { restoreOnCluster } = await import('#cli/cluster/restore')
        return await restoreOnCluster(cli, target, savepoint, options)
      }
      const { restoreLocal } = await import('#cli/local/restore')
      cli.exit(await restoreLocal(cli, target, savepoint, options))
    })
}
