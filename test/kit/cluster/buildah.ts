import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './command.ts'
import { CACHE_DIR } from './layout.ts'

const DIR = join(CACHE_DIR, 'buildah')
const POLICY = join(DIR, 'policy.json')

function storage(): string[] {
  return ['--root', join(DIR, 'storage'), '--runroot', join(DIR, 'run'), '--storage-driver', 'vfs']
}

export interface BuildOptions {
  readonly tag: string
  readonly context: string
  readonly dockerfile: string
  readonly buildArgs?: Readonly<Record<string, string>>
}

/** Builds a Dockerfile without a daemon; steps run in a chroot, so that it works inside a container too. */
export async function buildahBuild(options: BuildOptions): Promise<void> {
  mkdirSync(DIR, { recursive: true })
  writeFileSync(POLICY, JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }] }))
  const args = Object.entries(options.buildArgs ?? {}).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`])
  const common = ['--signature-policy', POLICY, '--isolation', 'chroot', '--pull-never', '--quiet', '--format', 'docker']
  await run('buildah', [...storage(), 'bud', ...common, ...args, '-f', options.dockerfile, '-t', options.tag, options.context])
  await run('buildah', [...storage(), 'rmi', '--prune']).catch(() => '')
}

/** Writes the image as a docker-archive, which containerd, docker, kind and minikube import. */
export async function buildahSave(tag: string, archive: string): Promise<void> {
  rmSync(archive, { force: true })
  await run('buildah', [...storage(), 'push', '--signature-policy', POLICY, '--quiet', tag, `docker-archive:${archive}:${tag}`])
}
