import { Command } from 'commander'
import { VERSION } from '#runtime/contract/version'
import { registerBuild } from './commands/build.ts'
import { registerCheckpoints } from './commands/checkpoints.ts'
import { registerCompletion } from './commands/completion.ts'
import { registerInit } from './commands/init.ts'
import { registerList } from './commands/list.ts'
import { registerPlan } from './commands/plan.ts'
import { registerRestart } from './commands/restart.ts'
import { registerRestore } from './commands/restore.ts'
import { registerRun } from './commands/run.ts'
import { registerSavepoint } from './commands/savepoint.ts'
import { registerSavepoints } from './commands/savepoints.ts'
import { registerSim } from './commands/sim.ts'
import { registerStatus } from './commands/status.ts'
import { registerStop } from './commands/stop.ts'
import type { CliContext } from './context.ts'

const EXIT_CODES = `
Exit codes:
  0    done
  1    failed: the job failed, a server refused, a checkpoint does not verify
  2    the command line, a file it names, or a manifest is wrong; nothing was started
  3    the job, savepoint or checkpoint does not exist, or the job is not running
  130  interrupted by Ctrl-C`

const EXAMPLES = `
Examples:
  weir run job.ts --arg input=data/ --arg output=out/    run a job here, on two TaskManagers
  weir run job.yaml                                      the same manifest that kubectl apply takes
  weir savepoint word-count                              of a local job
  kubectl weir status word-count                         of a StreamJob on a cluster
  weir status stj/word-count                             the same`

/**
 * The command tree. Commands import what they need only when they run, so that --help stays fast.
 */
export function buildProgram(cli: CliContext): Command {
  const program = new Command(cli.invokedAs)
    .description('Exactly-once stream processing, on a laptop or on Kubernetes.')
    .version(VERSION, '-V, --version')
    .showSuggestionAfterError()
    .showHelpAfterError('(--help after a command shows its arguments and options)')
    .helpCommand(true)
    .addHelpText('after', EXAMPLES)
    .addHelpText('after', EXIT_CODES)
  const onKubectl = cli.invokedAs === 'kubectl weir'
  if (!onKubectl) registerInit(program, cli)
  if (!onKubectl) registerRun(program, cli)
  registerPlan(program, cli)
  if (!onKubectl) registerBuild(program, cli)
  registerStatus(program, cli)
  registerList(program, cli)
  registerSavepoint(program, cli)
  registerSavepoints(program, cli)
  registerRestart(program, cli)
  registerRestore(program, cli)
  registerStop(program, cli)
  registerCheckpoints(program, cli)
  if (!onKubectl) registerSim(program, cli)
  if (!onKubectl) registerCompletion(program, cli)
  return program
}
