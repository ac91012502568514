import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { repositoryRoot } from '#tools/repository-root'
import { attempt, run } from './command.ts'
import { archiveOf, buildDist, stageContext, WEIR_IMAGE } from './images.ts'
import { CACHE_DIR } from './layout.ts'
import type { Progress } from './progress.ts'
import type { Provider } from './provider.ts'

const NAME = 'weir'
const DOCKERFILE = join(repositoryRoot, 'images', 'Dockerfile')

export type Engine = 'docker' | 'podman'
export type EngineTool = 'kind' | 'k3d' | 'minikube'

interface ToolCommands {
  readonly exists: readonly string[]
  readonly hasCluster: (stdout: string) => boolean
  readonly create: (kubeconfig: string) => readonly string[]
  readonly remove: readonly string[]
  readonly load: (archive: string) => readonly string[]
}

const COMMANDS: Readonly<Record<EngineTool, ToolCommands>> = {
  kind: {
    exists: ['get', 'clusters'],
    hasCluster: (stdout) => stdout.split('\n').includes(NAME),
    create: (kubeconfig) => [
      'create',
      'cluster',
      '--name',
      NAME,
      '--kubeconfig',
      kubeconfig,
      '--wait',
      '180s',
    ],
    remove: ['delete', 'cluster', '--name', NAME],
    load: (archive) => ['load', 'image-archive', archive, '--name', NAME],
  },
  k3d: {
    exists: ['cluster', 'list', '--no-headers'],
    hasCluster: (stdout) => stdout.split('\n').some((line) => line.split(/\s+/)[0] === NAME),
    create: () => ['cluster', 'create', NAME, '--wait', '--kubeconfig-update-default=false'],
    remove: ['cluster', 'delete', NAME],
    load: (archive) => ['image', 'import', archive, '--cluster', NAME],
  },
  minikube: {
    exists: ['profile', 'list', '-o', 'json'],
    hasCluster: (stdout) => new RegExp(`"Name":\\s*"${NAME}"`).test(stdout),
    create: () => ['start', '--profile', NAME, '--wait', 'all'],
    remove: ['delete', '--profile', NAME],
    load: (archive) => ['image', 'load', archive, '--profile', NAME],
  },
}

/**
 * A cluster named `weir` of kind, k3d or minikube, with its kubeconfig in the cache: the user's own
 * is not touched.
 */
export function engineCluster(tool: EngineTool, engine: Engine): Provider {
  const kubeconfig = join(CACHE_DIR, `${tool}.kubeconfig`)
  const commands = COMMANDS[tool]
  const env = {
    KUBECONFIG: kubeconfig,
    ...(tool === 'kind' && engine === 'podman' ? { KIND_EXPERIMENTAL_PROVIDER: 'podman' } : {}),
  }
  const call = (args: readonly string[]) => run(tool, args, { env, timeoutMs: 600_000 })
  const node = { kind: `${NAME}-control-plane`, k3d: `k3d-${NAME}-server-0`, minikube: NAME }[tool]
  return {
    name: tool,
    description: `cluster ${NAME} of ${tool} on ${engine}`,
    async up(progress) {
      mkdirSync(CACHE_DIR, { recursive: true })
      const existing = await attempt(tool, commands.exists, { env })
      if (existing.code !== 0 || !commands.hasCluster(existing.stdout)) {
        progress.say(`creating cluster ${NAME} with ${tool}`)
        await call(commands.create(kubeconfig))
      }
      if (tool === 'k3d') await call(['kubeconfig', 'write', NAME, '--output', kubeconfig])
      if (tool === 'kind') await call(['export', 'kubeconfig', '--name', NAME, '--kubeconfig', kubeconfig])
      return kubeconfig
    },
    async down(progress) {
      await call(commands.remove)
      rmSync(kubeconfig, { force: true })
      progress.say(`cluster ${NAME} of ${tool} is gone`)
    },
    async killContainer(id) {
      // minikube's node may run another runtime than containerd.
      const kill =
        tool === 'minikube'
          ? ['docker', 'kill', id]
          : ['ctr', '-n', 'k8s.io', 'tasks', 'kill', '--signal', 'SIGKILL', id]
      await run(engine, ['exec', node, ...kill])
    },
    async loadImages(progress) {
      await buildDist(progress)
      await buildWithEngine(engine, WEIR_IMAGE, progress)
      const archive = archiveOf(WEIR_IMAGE)
      rmSync(archive, { force: true })
      await run(engine, ['save', '-o', archive, WEIR_IMAGE])
      progress.say(`loading ${WEIR_IMAGE} into ${tool}`)
      await call(commands.load(archive))
      return { weir: WEIR_IMAGE }
    },
  }
}

/** images/Dockerfile on its public base. `npm run build` must have run. */
export async function buildWithEngine(
  engine: Engine,
  tag: string,
  progress: Progress,
  nodeImage?: string,
): Promise<void> {
  const context = mkdtempSync(join(tmpdir(), 'weir-image-'))
  try {
    stageContext(context)
    progress.say(`${engine} build ${tag}`)
    const base = nodeImage === undefined ? [] : ['--build-arg', `NODE_IMAGE=${nodeImage}`]
    await run(engine, ['build', '-f', DOCKERFILE, ...base, '-t', tag, context], { timeoutMs: 900_000 })
  } finally {
    rmSync(context, { recursive: true, force: true })
  }
}

/** A container engine whose daemon answers. */
export async function findEngine(): Promise<Engine | undefined> {
  for (const engine of ['docker', 'podman'] as const)
    if ((await attempt(engine, ['info'], { timeoutMs: 10_000 })).code === 0) return engine
  return undefined
}
