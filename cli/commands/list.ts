import type { Command } from 'commander'
import { type OutputOptions, withTarget } from '#cli/command-options'
import type { CliContext } from '#cli/context'
import { isClusterTarget, type TargetOptions } from '#cli/target'

interface ListOptions extends TargetOptions, OutputOptions {
  readonly allNamespaces?: boolean
  readonly cluster?: boolean
}

export function registerList(program: Command, cli: CliContext): void {
  withTarget(program.command('list'))
    .alias('ls')
    .summary('jobs')
    .description('Local jobs under .weir/ here, or the StreamJobs of a cluster.')
    .option('--cluster', 'the StreamJobs of the current kubeconfig context')
    .option('-A, --all-namespaces', 'StreamJobs of all namespaces')
    .action(async (options: ListOptions) => {
      const onCluster =
        options.cluster === true ||
        options.allNamespaces === true ||
        isClusterTarget(undefined, options, cli.invokedAs === 'kubectl weir')
      if (onCluster) {
        const { listOnCluster } = await import('#cli/cluster/list')
        return await listOnCluster(cli.output(options), options, options.allNamespaces ?? false)
      }
      const { listLocal } = await import('#cli/local/list')
      await listLocal(cli.output(options), cli.cwd)
    })
}
