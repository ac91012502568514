import type { Command } from 'commander'
import { collect, type OutputOptions, positiveInteger, withOutput } from '#cli/command-options'
import type { CliContext } from '#cli/context'

interface PlanOptions extends OutputOptions {
  readonly arg?: readonly string[]
  readonly parallelism?: number
  readonly from?: string
  readonly allowNonRestoredState?: boolean
}

export function registerPlan(program: Command, cli: CliContext): void {
  withOutput(program.command('plan'))
    .summary('show what a job would run, and check it')
    .description(
      'Show the execution plan of a job module or manifest without running it. ' +
        'With --from, check that the savepoint fits it.',
    )
    .argument('<file>', 'job module (.ts, .js) or StreamJob manifest (.yaml, .yml, .json)')
    .option('--arg <key=value>', 'argument of the job; repeatable', collect)
    .option('--parallelism <n>', 'parallelism of operators (default: all slots)', positiveInteger)
    .option('--from <savepoint>', 'check that this savepoint or checkpoint can be restored into the job')
    .option('--allow-non-restored-state', 'with --from: state that no operator takes over may be dropped')
    .action(async (file: string, options: PlanOptions) => {
      const { showPlan } = await import('#cli/local/plan')
      await showPlan(cli.output(options), file, options, cli.cwd)
    })
}
