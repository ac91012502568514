import type { Command } from 'commander'
import type { CliContext } from '#cli/context'

/** Everything after `sim` belongs to the simulator, which has its own options and help. */
export function registerSim(program: Command, cli: CliContext): void {
  program
    .command('sim')
    .summary('run the simulator')
    .description('Run the whole system under an injected clock, network and store; a seed replays a failure.')
    .argument('[arguments...]', 'arguments of the simulator')
    .allowUnknownOption()
    .helpOption(false)
    .action(async (args: readonly string[]) => {
      const { main } = await import('#sim/main')
      cli.exit(
        await main(args, { write: (text) => void cli.stdout.write(text), isTerminal: cli.stdout.isTTY }),
      )
    })
}
