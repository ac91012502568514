import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run, which } from './command.ts'
import { CACHE_DIR, KUBERNETES } from './layout.ts'
import type { Progress } from './progress.ts'

const PARTS = [
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kube-proxy',
  'kubelet',
  'kubectl',
] as const
export type KubePart = (typeof PARTS)[number]

const HERE = dirname(fileURLToPath(import.meta.url))
const DIR = join(CACHE_DIR, 'tools', `kube-${KUBERNETES}`)
/** For programs that are linked once and copied into images: no C library, no symbols. */
const STATIC = { CGO_ENABLED: '0', GOFLAGS: '-buildvcs=false' }

/** Path of a part of Kubernetes; after `ensureKube`. */
export function kube(part: KubePart): string {
  return join(DIR, part)
}

/**
 * Builds all parts as one program, once per version. `k8s.io/kubernetes` cannot be installed as a
 * module: its go.mod points its sub-modules at folders of its own repository. So a module made here
 * requires it and points each of them at the version that was published with it.
 */
export async function ensureKube(progress: Progress): Promise<void> {
  if (PARTS.every((part) => existsSync(kube(part)))) return
  await needGo('Kubernetes')
  progress.say(`building Kubernetes ${KUBERNETES} from Go modules (once; up to ten minutes on two cores)`)
  const source = join(DIR, 'source')
  rmSync(source, { recursive: true, force: true })
  mkdirSync(source, { recursive: true })
  cpSync(join(HERE, 'kube', 'main.go'), join(source, 'main.go'))
  const download = await run('go', ['mod', 'download', '-json', `k8s.io/kubernetes@v${KUBERNETES}`], {
    cwd: source,
    env: STATIC,
  })
  const goMod = readFileSync((JSON.parse(download) as { GoMod: string }).GoMod, 'utf8')
  writeFileSync(join(source, 'go.mod'), moduleFile(goMod))
  await run('go', ['mod', 'tidy'], { cwd: source, env: STATIC })
  const [major, minor] = KUBERNETES.split('.')
  const version = 'k8s.io/component-base/version'
  const variables = [
    `${version}.gitVersion=v${KUBERNETES}`,
    `${version}.gitMajor=${major}`,
    `${version}.gitMinor=${minor}`,
    `k8s.io/client-go/pkg/version.gitVersion=v${KUBERNETES}`,
  ]
  const flags = ['-s', '-w', ...variables.flatMap((v) => ['-X', v])].join(' ')
  const built = join(DIR, 'kube.building')
  await run('go', ['build', '-trimpath', '-ldflags', flags, '-o', built, '.'], { cwd: source, env: STATIC })
  renameSync(built, join(DIR, 'kube'))
  for (const part of PARTS) {
    rmSync(kube(part), { force: true })
    symlinkSync('kube', kube(part))
  }
}

function moduleFile(kubernetesGoMod: string): string {
  const staging = [...kubernetesGoMod.matchAll(/^\s*(k8s\.io\/[a-z-]+) => \.\/staging/gm)].map((m) => m[1])
  const version = `v0.${KUBERNETES.split('.').slice(1).join('.')}`
  const replace = staging.map((name) => `\t${name} => ${name} ${version}`).join('\n')
  return [
    'module weir.dev/test/kube',
    'go 1.24.0',
    `require k8s.io/kubernetes v${KUBERNETES}`,
    `replace (\n${replace}\n)\n`,
  ].join('\n\n')
}

/** The static program that holds a pod's namespaces; the base of the pause image. */
export async function ensurePause(): Promise<string> {
  const out = join(CACHE_DIR, 'tools', 'pause-1', 'pause')
  if (existsSync(out)) return out
  await needGo('the pause program')
  mkdirSync(dirname(out), { recursive: true })
  await run('go', ['build', '-trimpath', '-ldflags', '-s -w', '-o', out, '.'], {
    cwd: join(HERE, 'pause'),
    env: STATIC,
  })
  return out
}

async function needGo(what: string): Promise<void> {
  if ((await which('go')) === undefined)
    throw new Error(
      `${what} is built here from Go modules, and there is no go on PATH: ` +
        'install Go 1.24 or newer (https://go.dev/dl), or name a cluster in WEIR_TEST_KUBECONFIG.',
    )
}
