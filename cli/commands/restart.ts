import { type Command, Option } from 'commander'
import { badInput } from '#cli/cli-error'
import { durationMs, type OutputOptions, withTarget } from '#cli/command-options'
import { type CliContext, targetOf } from '#cli/context'
import type { TargetOptions } from '#cli/target'

interface RestartOptions extends TargetOptions, OutputOptions {
  readonly timeout: number
}

export function registerRestart(program: Command, cli: CliContext): void {
  withTarget(program.command('restart'))
    .summary('begin another run of a StreamJob')
    .description(
      'Begin another run of a StreamJob from its newest checkpoint, also of one that has failed, ' +
        'and wait until it runs.\n' +
        'Annotation weir.dev/restartedAt is set, and the operator does the rest. ' +
        'A local job is restarted by stopping it and running it again.',
    )
    .argument('<job>', 'stj/NAME of a StreamJob on a cluster')
    .addOption(
      new Option('--timeout <duration>', 'how long to wait').argParser(durationMs).default(600_000, '10m'),
    )
    .action(async (name: string, options: RestartOptions) => {
      const target = await targetOf(cli, name, options)
      if (target.kind === 'local')
        throw badInput(
          `${name} is a local job: stop it, and run it again. For a StreamJob say stj/${target.name}.`,
        )
      const { restartOnCluster } = await import('#cli/cluster/restart')
      await restartOnCluster(cli.output(options), target, options.timeout)
    })
}
