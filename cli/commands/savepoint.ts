import { type Command, Option } from 'commander'
import { durationMs, type OutputOptions, TARGET, withTarget } from '#cli/command-options'
import { type CliContext, targetOf } from '#cli/context'
import type { TargetOptions } from '#cli/target'

interface SavepointOptions extends TargetOptions, OutputOptions {
  readonly path?: string
  readonly name?: string
  readonly timeout: number
}

export function registerSavepoint(program: Command, cli: CliContext): void {
  withTarget(program.command('savepoint'))
    .summary('take a savepoint')
    .description(
      'Take a savepoint of a running job and wait for it. It is yours: Weir never deletes it.\n' +
        'On a cluster a Savepoint object is made, and the operator does the work.',
    )
    .argument('[job]', `${TARGET}; default: the only local job here`)
    .option('--path <dir>', 'directory or URL to write to (default: below the job’s storage)')
    .option('--name <name>', 'name of the Savepoint object (default: JOB-TIME)')
    .addOption(
      new Option('--timeout <duration>', 'how long to wait').argParser(durationMs).default(600_000, '10m'),
    )
    .action(async (name: string | undefined, options: SavepointOptions) => {
      const target = await targetOf(cli, name, options)
      const output = cli.output(options)
      if (target.kind === 'cluster')
        await (await import('#cli/cluster/savepoint')).savepointOnCluster(output, target, options)
      else await (await import('#cli/local/savepoint')).savepointLocal(output, target, options, cli.cwd)
    })
}
