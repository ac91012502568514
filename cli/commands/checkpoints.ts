import type { Command } from 'commander'
import type { CheckpointId } from '#runtime/contract/ids'
import { type OutputOptions, positiveInteger, TARGET, withTarget } from '#cli/command-options'
import { type CliContext, targetOf } from '#cli/context'
import type { TargetOptions } from '#cli/target'

type Options = TargetOptions & OutputOptions

export function registerCheckpoints(program: Command, cli: CliContext): void {
  const checkpoints = program
    .command('checkpoints')
    .summary('list, show or verify checkpoints')
    .description('Checkpoints of a job, whether it runs or not.')

  withTarget(checkpoints.command('list'))
    .description('Checkpoints that the job keeps; of a running job also the failed ones.')
    .argument('[job]', `${TARGET}; default: the only local job here`)
    .action(async (name: string | undefined, options: Options) => {
      const target = await targetOf(cli, name, options)
      const output = cli.output(options)
      if (target.kind === 'cluster')
        await (await import('#cli/cluster/checkpoints')).lastCheckpointOnCluster(output, target)
      else await (await import('#cli/local/checkpoints')).listCheckpoints(output, target)
    })

  withTarget(checkpoints.command('show'))
    .description('One checkpoint: its vertices, subtasks and files.')
    .argument('[job]', `${TARGET}; default: the only local job here`)
    .argument('[id]', 'number of the checkpoint (default: the newest)', positiveInteger)
    .action(async (name: string | undefined, id: CheckpointId | undefined, options: Options) => {
      const target = await targetOf(cli, name, options)
      const { localOnly, showCheckpoint } = await import('#cli/local/checkpoints')
      await showCheckpoint(cli.output(options), localOnly(target, 'show'), id)
    })

  withTarget(checkpoints.command('verify'))
    .description(
      'Read a checkpoint or savepoint whole and compare every file with its recorded length and SHA-256.',
    )
    .argument('[job]', `${TARGET}; default: the only local job here`)
    .argument('[id]', 'number of the checkpoint (default: the newest)', positiveInteger)
    .option('--path <url>', 'verify the savepoint or checkpoint at this directory or URL instead')
    .action(
      async (
        name: string | undefined,
        id: CheckpointId | undefined,
        options: Options & { readonly path?: string },
      ) => {
        const { localOnly, verifyAt, verifyLocal } = await import('#cli/local/checkpoints')
        const output = cli.output(options)
        if (options.path !== undefined) cli.exit(await verifyAt(output, options.path, cli.cwd))
        else cli.exit(await verifyLocal(output, localOnly(await targetOf(cli, name, options), 'verify'), id))
      },
    )
}
