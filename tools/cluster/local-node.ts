import { createServer } from 'node:net'
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { goTool } from '#tools/servers/tools'
import { removePodCgroups } from './cgroups.ts'
import { attempt, run } from './command.ts'
import * as components from './components.ts'
import { isRunning, recordedDaemons, stopDaemon } from './daemon.ts'
import { startDns } from './dns.ts'
import { makeIdentities } from './identities.ts'
import {
  archiveOf,
  buildDist,
  buildPauseImage,
  buildServerImages,
  buildWeirImage,
  REDIS_IMAGE,
  S3_IMAGE,
  WEIR_IMAGE,
} from './images.ts'
import { ensureKube, kube } from './kube-binary.ts'
import { COREDNS, KUBECONFIG, makeStateDirs, NODE, PORTS, RUN_DIR, STATE_DIR, statePath } from './layout.ts'
import { makeNetwork, removeNetwork } from './network.ts'
import { ensurePackages } from './packages.ts'
import type { Progress } from './progress.ts'
import type { ImageNames, Provider } from './provider.ts'

/**
 * A one-node Kubernetes on this machine, without a container engine and without a registry. Needs
 * root on Linux.
 */
export const localNode: Provider = {
  name: 'local',
  description: 'a one-node Kubernetes on this machine',
  up,
  down,
  loadImages,
  killContainer: async (id) => {
    await components.ctr('tasks', 'kill', '--signal', 'SIGKILL', id)
  },
}

async function up(progress: Progress): Promise<string> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    throw new Error(
      'A one-node Kubernetes can be started here by root on Linux only. ' +
        'Otherwise: set WEIR_TEST_KUBECONFIG to a cluster, ' +
        'or install kind, k3d or minikube with a running container engine.',
    )
  await ensurePackages(progress)
  await ensureKube(progress)
  const coredns = await goTool({ name: 'coredns', pkg: 'github.com/coredns/coredns', version: COREDNS })
  if (components.COMPONENTS.every(isRunning)) {
    progress.say(`the cluster is up already (node ${NODE})`)
    return KUBECONFIG
  }
  if (!components.COMPONENTS.some(isRunning)) await refuseTakenPorts()
  makeStateDirs()
  await makeIdentities()
  await makeNetwork()
  progress.say('starting etcd, API server, containerd')
  components.startEtcd()
  components.startApiServer()
  components.startContainerd()
  await components.waitForContainerd()
  await components.ctr('images', 'import', await buildPauseImage(components.PAUSE_IMAGE))
  await components.waitForApi()
  progress.say('API ready; starting controllers, scheduler, kubelet, proxy, DNS')
  components.startControllers()
  components.startKubelet()
  components.startProxy()
  await startDns(coredns)
  await components.waitForNode()
  await waitForServiceAccounts()
  progress.say(`node ${NODE} is Ready`)
  return KUBECONFIG
}

/** Pods of a namespace are refused until its default ServiceAccount exists. */
async function waitForServiceAccounts(): Promise<void> {
  const args = ['--kubeconfig', KUBECONFIG, 'wait', '--for=create', 'serviceaccount/default', '--timeout=60s']
  await run(kube('kubectl'), args)
}

async function refuseTakenPorts(): Promise<void> {
  const taken: number[] = []
  for (const port of PORTS) if (!(await isFree(port))) taken.push(port)
  if (taken.length > 0)
    throw new Error(
      `Ports ${taken.join(', ')} of this machine are in use, so another Kubernetes may run here: ` +
        'name it in WEIR_TEST_KUBECONFIG, or stop it.',
    )
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '0.0.0.0', () => server.close(() => resolve(true)))
  })
}

async function loadImages(progress: Progress): Promise<ImageNames> {
  await buildServerImages(progress)
  await buildDist(progress)
  await buildWeirImage(progress)
  for (const tag of [REDIS_IMAGE, S3_IMAGE, WEIR_IMAGE])
    await components.ctr('images', 'import', archiveOf(tag))
  progress.say('images imported')
  return { weir: WEIR_IMAGE, redis: REDIS_IMAGE, s3: S3_IMAGE }
}

/** The kubelet goes first, so that it starts no pod again; then the pods; then what held them. */
async function down(progress: Progress): Promise<void> {
  if (!existsSync(STATE_DIR) && !existsSync(RUN_DIR)) return progress.say('no cluster of this machine is up')
  const order = [...components.COMPONENTS].toReversed()
  const beforePods = order.slice(0, order.indexOf('containerd'))
  for (const name of beforePods) await stopDaemon(name)
  if (isRunning('containerd')) await removePods()
  if (existsSync(kube('kube-proxy')))
    await attempt(kube('kube-proxy'), [...components.proxyArgs(), '--cleanup'], { timeoutMs: 30_000 })
  for (const name of [...order.slice(beforePods.length), ...recordedDaemons()]) await stopDaemon(name)
  await unmountBelow([`${STATE_DIR}/`, `${RUN_DIR}/`])
  await removeNetwork()
  removeLogLinks()
  removePodCgroups()
  for (const dir of [STATE_DIR, RUN_DIR]) rmSync(dir, { recursive: true, force: true })
  progress.say('the cluster is gone; built programs and images stay in the cache')
}

async function removePods(): Promise<void> {
  const list = async (kind: string) =>
    (await components.ctr(kind, 'ls', '-q')).split('\n').filter((id) => id !== '')
  const namespaces = new Set<string>()
  for (const id of await list('containers')) {
    const info = await components.ctr('containers', 'info', id).catch(() => '')
    for (const [, name] of info.matchAll(/\/var\/run\/netns\/(cni-[0-9a-f-]+)/g))
      if (name !== undefined) namespaces.add(name)
  }
  for (const id of await list('tasks')) await components.ctr('tasks', 'rm', '-f', id).catch(() => '')
  for (const id of await list('containers')) await components.ctr('containers', 'rm', id).catch(() => '')
  for (const name of namespaces) await attempt('ip', ['netns', 'del', name])
}

async function unmountBelow(prefixes: readonly string[]): Promise<void> {
  const points = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((point) => prefixes.some((prefix) => point.startsWith(prefix)))
  for (const point of points.toSorted().toReversed()) await attempt('umount', ['-l', point])
}

/** The kubelet links container logs into a folder of the system, whatever its own folder is. */
function removeLogLinks(): void {
  const dir = '/var/log/containers'
  if (!existsSync(dir)) return
  for (const name of readdirSync(dir)) {
    const path = join(dir, name)
    if (lstatSync(path).isSymbolicLink() && readlinkSync(path).startsWith(statePath('pod-logs'))) rmSync(path)
  }
}
