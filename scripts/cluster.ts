/**
 * `npm run cluster -- up | node | demo | kubectl ... | down`: a Kubernetes cluster to try Weir on.
 * Uses the one named by WEIR_TEST_KUBECONFIG, else kind, k3d or minikube where they and a container
 * engine are, else starts a one-node Kubernetes on this machine (root on Linux).
 */
import { clusterDemo } from './cluster/demo.ts'
import { installWeir } from './cluster/install.ts'
import { Cluster, findProvider } from '#tools/cluster/cluster'
import { stderrProgress } from '#tools/cluster/progress'

const USAGE = `usage: npm run cluster -- <command>
  up        a cluster with Weir and its try-out Redis and S3 server installed (default)
  node      a cluster only
  demo      up, then the word count with a TaskManager, the leading JobManager and Redis killed on the way
  kubectl   passes the rest of the line to kubectl, such as: npm run cluster -- kubectl get stj
  down      removes what was made here`

async function main(command: string): Promise<void> {
  const progress = stderrProgress
  switch (command) {
    case 'node':
      return tell(await Cluster.up(progress))
    case 'up': {
      const cluster = await Cluster.up(progress)
      await installWeir(cluster, progress)
      return tell(cluster)
    }
    case 'demo': {
      const cluster = await Cluster.up(progress)
      await installWeir(cluster, progress)
      return clusterDemo(cluster, progress)
    }
    case 'kubectl':
      return passToKubectl(await Cluster.up(progress), process.argv.slice(3))
    case 'down':
      return (await findProvider()).down(progress)
    default:
      throw new Error(isHelp(command) ? USAGE : `No command ${JSON.stringify(command)}.\n${USAGE}`)
  }
}

const isHelp = (command: string): boolean => command === 'help' || command === '--help'

async function passToKubectl(cluster: Cluster, args: readonly string[]): Promise<void> {
  const { code, stdout, stderr } = await cluster.tryKubectl(args)
  process.stdout.write(stdout)
  process.stderr.write(stderr)
  process.exitCode = code
}

function tell(cluster: Cluster): void {
  console.log(`export KUBECONFIG=${cluster.kubeconfig}`)
}

try {
  await main(process.argv[2] ?? 'up')
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
