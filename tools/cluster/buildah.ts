import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { attempt, run } from './command.ts'
import { CACHE_DIR, isOverlay } from './layout.ts'

const DIR = join(CACHE_DIR, 'buildah')
const POLICY = join(DIR, 'policy.json')

function storage(): string[] {
  mkdirSync(DIR, { recursive: true })
  // Overlays cannot be stacked; copying whole layers works everywhere, and takes ten times as long.
  const driver = isOverlay(DIR) ? 'vfs' : 'overlay'
  return ['--root', join(DIR, driver), '--runroot', join(DIR, 'run'), '--storage-driver', driver]
}

export interface BuildOptions {
  readonly tag: string
  readonly context: string
  readonly dockerfile: string
  readonly buildArgs?: Readonly<Record<string, string>>
}

/**
 * Builds a Dockerfile without a daemon; steps run in a chroot, so that it works inside a container
 * too.
 */
export async function buildahBuild(options: BuildOptions): Promise<void> {
  const shared = storage()
  writeFileSync(POLICY, JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }] }))
  const args = Object.entries(options.buildArgs ?? {}).flatMap(([name, value]) => [
    '--build-arg',
    `${name}=${value}`,
  ])
  const common = [
    '--signature-policy',
    POLICY,
    '--isolation',
    'chroot',
    '--pull-never',
    '--quiet',
    '--format',
    'docker',
  ]
  await run('buildah', [
    ...shared,
    'bud',
    ...common,
    ...args,
    '-f',
    options.dockerfile,
    '-t',
    options.tag,
    options.context,
  ])
  await run('buildah', [...shared, 'rmi', '--prune']).catch(() => '')
}

export async function buildahHas(tag: string): Promise<boolean> {
  return (await attempt('buildah', [...storage(), 'inspect', '--type', 'image', tag])).code === 0
}

/** Writes the image as a docker-archive, which containerd, docker, kind and minikube import. */
export async function buildahSave(tag: string, archive: string): Promise<void> {
  rmSync(archive, { force: true })
  await run('buildah', [
    ...storage(),
    'push',
    '--signature-policy',
    POLICY,
    '--quiet',
    tag,
    `docker-archive:${archive}:${tag}`,
  ])
}
