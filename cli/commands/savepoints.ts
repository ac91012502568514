import type { Command } from 'commander'
import { type OutputOptions, TARGET, withTarget } from '#cli/command-options'
import { type CliContext, targetOf } from '#cli/context'
import type { TargetOptions } from '#cli/target'

export function registerSavepoints(program: Command, cli: CliContext): void {
  withTarget(program.command('savepoints'))
    .summary('savepoints of a job')
    .description('Savepoints of a job, newest last, whether it runs or not.')
    .argument('[job]', `${TARGET}; default: the only local job here`)
    .action(async (name: string | undefined, options: TargetOptions & OutputOptions) => {
      const target = await targetOf(cli, name, options)
      const output = cli.output(options)
      if (target.kind === 'cluster')
        await (await import('#cli/cluster/savepoint')).savepointsOnCluster(output, target)
      else await (await import('#cli/local/savepoint')).savepointsLocal(output, target)
    })
}
