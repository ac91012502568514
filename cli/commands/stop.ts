import { type Command, Option } from 'commander'
import { durationMs, type OutputOptions, TARGET, withTarget } from '#cli/command-options'
import { type CliContext, targetOf } from '#cli/context'
import type { TargetOptions } from '#cli/target'

interface StopOptions extends TargetOptions, OutputOptions {
  /** true: a savepoint in its default place; a string: where. */
  readonly savepoint?: boolean | string
  readonly drain?: boolean
  readonly timeout: number
}

export function registerStop(program: Command, cli: CliContext): void {
  withTarget(program.command('stop'))
    .summary('stop a job so that it can be resumed')
    .description(
      'Stop a running job with a checkpoint, or with a savepoint, and wait for it. ' +
        'Nothing is lost: the job can be resumed.\n' +
        'On a cluster spec.state is set to Suspended (or Drained); set it to Running to resume.',
    )
    .argument('[job]', `${TARGET}; default: the only local job here`)
    .option('--savepoint [dir]', 'stop with a savepoint instead of a checkpoint')
    .option(
      '--drain',
      'bring event time to its end first, so that open windows fire; for jobs that will not be resumed',
    )
    .addOption(
      new Option('--timeout <duration>', 'how long to wait').argParser(durationMs).default(600_000, '10m'),
    )
    .action(async (name: string | undefined, options: StopOptions) => {
      const target = await targetOf(cli, name, options)
      const output = cli.output(options)
      if (target.kind === 'cluster')
        await (await import('#cli/cluster/stop')).stopOnCluster(output, target, options)
      else await (await import('#cli/local/stop')).stopLocal(output, target, options, cli.cwd)
    })
}
