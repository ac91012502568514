import type { Command } from 'commander'
import type { CliContext } from '#cli/context'

export function registerInit(program: Command, cli: CliContext): void {
  program
    .command('init')
    .summary('make a project with a job')
    .description('Make a directory with a job, a test of it, a manifest and a Dockerfile.')
    .argument('<dir>', 'directory to make; what is in it already is never replaced')
    .action(async (dir: string) => {
      const { initProject } = await import('#cli/local/init-project')
      cli.stdout.write(`${initProject(dir, cli.cwd)}\n`)
    })
}
