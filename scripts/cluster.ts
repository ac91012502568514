/**
 * `npm run cluster -- up | down | status | images | demo`: a Kubernetes cluster to try Weir on. Uses the one named by WEIR_TEST_KUBECONFIG, else kind, k3d or
 * minikube where they and a container engine are, else starts a one-node Kubernetes on this machine (root on Linux).
 */
import { clusterDemo } from './cluster/demo.ts'
import { installWeir } from './cluster/install.ts'
import { Cluster, findProvider } from '#test/kit/cluster/cluster'
import { stderrProgress } from '#test/kit/cluster/progress'

const USAGE = `usage: npm run cluster -- <command>
  up        a cluster with Weir and its try-out Redis and S3 server installed (default)
  node      a cluster only
  demo      up, then the word count with a TaskManager, the leading JobManager and Redis killed on the way
  status    nodes and pods
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
    case 'status': {
      const cluster = await Cluster.up(progress)
      console.log(await cluster.kubectl(['get', 'nodes,pods', '-A', '-o', 'wide']))
      return
    }
    case 'down':
      return (await findProvider()).down(progress)
    default:
      throw new Error(`${command === 'help' || command === '--help' ? '' : `No command ${JSON.stringify(command)}.\n`}${USAGE}`)
  }
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
