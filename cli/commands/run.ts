import type { Command } from 'commander'
import { collect, durationMs, type OutputOptions, positiveInteger, withOutput } from '#cli/command-options'
import type { CliContext } from '#cli/context'

interface RunOptions extends OutputOptions {
  readonly arg?: readonly string[]
  readonly taskManagers?: number
  readonly slots?: number
  readonly parallelism?: number
  readonly checkpointInterval?: number
  readonly stateDir?: string
  readonly name?: string
  readonly from?: string
  readonly allowNonRestoredState?: boolean
  readonly fresh?: boolean
}

export function registerRun(program: Command, cli: CliContext): void {
  withOutput(program.command('run'))
    .summary('run a job on this machine')
    .description(
      'Run a job module or a StreamJob manifest on this machine: ' +
        'a JobManager and TaskManagers as processes, files for checkpoints.\n' +
        'Ctrl-C stops it with a checkpoint; the same command resumes it where it was.',
    )
    .argument('<file>', 'job module (.ts, .js) or StreamJob manifest (.yaml, .yml, .json)')
    .option(
      '--arg <key=value>',
      'argument of the job; repeatable; a value that reads as JSON is JSON',
      collect,
    )
    .option(
      '--task-managers <n>',
      'TaskManager processes (default: 2, or as the manifest says)',
      positiveInteger,
    )
    .option(
      '--slots <n>',
      'slots (threads) of each TaskManager (default: 2, or as the manifest says)',
      positiveInteger,
    )
    .option('--parallelism <n>', 'parallelism of operators (default: all slots)', positiveInteger)
    .option(
      '--checkpoint-interval <duration>',
      'time between checkpoints, such as 500ms or 10s (default: 1s)',
      durationMs,
    )
    .option('--name <name>', 'name of the job (default: that of the file or manifest)')
    .option('--state-dir <dir>', 'where the job keeps its state (default: .weir/NAME)')
    .option('--from <path>', 'start from a savepoint or checkpoint: its directory or URL')
    .option(
      '--allow-non-restored-state',
      'drop state that no operator takes over, from --from or the last run',
    )
    .option('--fresh', 'forget what earlier runs left and start empty; their files stay')
    .action(async (file: string, options: RunOptions) => {
      const [{ readLocalJob }, { runInForeground }] = await Promise.all([
        import('#cli/local/job-file'),
        import('#cli/local/run-in-foreground'),
      ])
      const job = await readLocalJob(file, options, cli.cwd)
      cli.exit(await runInForeground(cli, job, options))
    })
}
