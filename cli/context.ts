import type { Output } from './output.ts'
import { parseTarget, type Target, type TargetOptions } from './target.ts'

/** What every command is given besides its own arguments. */
export interface CliContext {
  /** How the user called the program: what the help and the hints print. */
  readonly invokedAs: 'weir' | 'kubectl weir'
  readonly cwd: string
  readonly output: (options: { readonly output?: string }) => Output
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
  /** The exit code of a command that does not throw; 0 unless set. */
  exit(code: number): void
}

/** The job that `name` and the target options mean. */
export async function targetOf(
  cli: CliContext,
  name: string | undefined,
  options: TargetOptions,
): Promise<Target> {
  const { StateDir } = await import('./local/state-dir.ts')
  return parseTarget(name, options, {
    onKubectl: cli.invokedAs === 'kubectl weir',
    cwd: cli.cwd,
    localNames: () => StateDir.names(cli.cwd),
  })
}
