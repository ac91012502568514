import type { Command } from 'commander'
import type { CliContext } from '#cli/context'

export function registerCompletion(program: Command, cli: CliContext): void {
  program
    .command('completion')
    .summary('print a script that completes commands and options')
    .description(
      'Print a script for a shell. ' +
        'bash: weir completion bash > ~/.local/share/bash-completion/completions/weir; ' +
        'zsh: a file _weir in $fpath; fish: ~/.config/fish/completions/weir.fish',
    )
    .argument('<shell>', 'bash, zsh or fish')
    .action(async (shell: string) => {
      const { completionScript } = await import('#cli/completion')
      cli.stdout.write(completionScript(shell, program))
    })
}
