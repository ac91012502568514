import { spawn, type ChildProcess } from 'node:child_process'
import { goTool } from '#tools/servers/tools'
import { attempt, run, which, type CommandOptions, type CommandResult } from './command.ts'
import { engineCluster, findEngine } from './engine-cluster.ts'
import { ensureKube, kube } from './kube-binary.ts'
import { HELM } from './layout.ts'
import { localNode } from './local-node.ts'
import { namedCluster } from './named-cluster.ts'
import { stderrProgress, type Progress } from './progress.ts'
import type { ImageNames, Provider } from './provider.ts'

/**
 * The cluster that the user names, else one of a tool whose container engine runs, else one started
 * on this machine.
 */
export async function findProvider(): Promise<Provider> {
  const named = process.env['WEIR_TEST_KUBECONFIG']
  if (named !== undefined && named !== '') return namedCluster(named, imagesOfEnvironment())
  const engine = await findEngine()
  if (engine !== undefined)
    for (const tool of ['kind', 'k3d', 'minikube'] as const)
      if ((await which(tool)) !== undefined) return engineCluster(tool, engine)
  return localNode
}

/** Names that the pods of a named cluster can pull. Redis and S3 server: default is the chart's. */
function imagesOfEnvironment(): Partial<ImageNames> {
  const { WEIR_TEST_IMAGE: weir, WEIR_TEST_REDIS_IMAGE: redis, WEIR_TEST_S3_IMAGE: s3 } = process.env
  return { ...(weir && { weir }), ...(redis && { redis }), ...(s3 && { s3 }) }
}

/** A cluster that is up, and the two programs that people use with it. */
export class Cluster {
  readonly provider: Provider
  readonly kubeconfig: string
  readonly #kubectl: string
  readonly #helm: string
  constructor(provider: Provider, kubeconfig: string, kubectl: string, helm: string) {
    this.provider = provider
    this.kubeconfig = kubeconfig
    this.#kubectl = kubectl
    this.#helm = helm
  }

  static async up(progress: Progress = stderrProgress): Promise<Cluster> {
    const provider = await findProvider()
    progress.say(`using ${provider.description}`)
    const kubeconfig = await provider.up(progress)
    return new Cluster(provider, kubeconfig, await kubectlProgram(provider, progress), await helmProgram())
  }

  kubectl(args: readonly string[], options: CommandOptions = {}): Promise<string> {
    return run(this.#kubectl, ['--kubeconfig', this.kubeconfig, ...args], options)
  }

  /** As `kubectl`, but a refusal is an answer: for manifests that must not be accepted. */
  tryKubectl(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return attempt(this.#kubectl, ['--kubeconfig', this.kubeconfig, ...args], options)
  }

  /** A kubectl that runs until it is ended, such as `port-forward`. */
  spawnKubectl(args: readonly string[]): ChildProcess {
    return spawn(this.#kubectl, ['--kubeconfig', this.kubeconfig, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  }

  helm(args: readonly string[], options: CommandOptions = {}): Promise<string> {
    return run(this.#helm, [...args, '--kubeconfig', this.kubeconfig], options)
  }

  async getJson<T>(...args: string[]): Promise<T> {
    return JSON.parse(await this.kubectl(['get', ...args, '-o', 'json'])) as T
  }

  /** Creates or changes objects by server-side apply. */
  async apply(...objects: readonly object[]): Promise<string> {
    const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects })
    return this.kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], { input })
  }
}

export async function helmProgram(): Promise<string> {
  return (await which('helm')) ?? goTool({ name: 'helm', pkg: 'helm.sh/helm/v3/cmd/helm', version: HELM })
}

async function kubectlProgram(provider: Provider, progress: Progress): Promise<string> {
  if (provider !== localNode) {
    const installed = await which('kubectl')
    if (installed !== undefined) return installed
  }
  await ensureKube(progress)
  return kube('kubectl')
}
