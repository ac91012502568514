import type { Command } from 'commander'
import { type OutputOptions, TARGET, withTarget } from '#cli/command-options'
import { type CliContext, targetOf } from '#cli/context'
import type { TargetOptions } from '#cli/target'

export function registerStatus(program: Command, cli: CliContext): void {
  withTarget(program.command('status'))
    .summary('one screen about a job')
    .description('One screen about a job: its state, checkpoints, TaskManagers and recoveries.')
    .argument('[job]', `${TARGET}; default: the only local job here`)
    .action(async (name: string | undefined, options: TargetOptions & OutputOptions) => {
      const target = await targetOf(cli, name, options)
      const output = cli.output(options)
      if (target.kind === 'cluster')
        await (await import('#cli/cluster/status')).statusOnCluster(output, target)
      else await (await import('#cli/local/status')).statusLocal(output, target)
    })
}
