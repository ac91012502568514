import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { repositoryRoot } from '#tools/repository-root'
import { VERSITYGW } from '#tools/servers/s3'
import { goTool } from '#tools/servers/tools'
import { buildahBuild, buildahHas, buildahSave } from './buildah.ts'
import { run, which } from './command.ts'
import { ensurePause } from './kube-binary.ts'
import { CACHE_DIR } from './layout.ts'
import { ensurePackages } from './packages.ts'
import type { Progress } from './progress.ts'
import { RootFs } from './rootfs.ts'

export const WEIR_IMAGE = 'localhost/weir:dev'
export const REDIS_IMAGE = 'localhost/weir-redis:dev'
export const S3_IMAGE = 'localhost/weir-s3:dev'
const NODE_IMAGE = `localhost/weir-node:${process.versions.node}`

/** Where the archive of an image is kept between building and importing. */
export function archiveOf(tag: string): string {
  mkdirSync(join(CACHE_DIR, 'images'), { recursive: true })
  return join(CACHE_DIR, 'images', `${tag.replaceAll(/[/:]/g, '_')}.tar`)
}

/**
 * Two thirds of the files of the packages: declarations and maps, which nothing reads at run time.
 */
const NOT_RUN = /\.(d\.[cm]?ts|map|tsbuildinfo)$/

/**
 * Fills `context` with what images/Dockerfile copies: package.json, dist/, bin/ and the packages
 * that package-lock.json does not mark as needed for development only.
 */
export function stageContext(context: string): void {
  if (!existsSync(join(repositoryRoot, 'dist')))
    throw new Error('dist/ is missing: run `npm run build` first.')
  for (const name of ['package.json', 'dist'])
    cpSync(join(repositoryRoot, name), join(context, name), { recursive: true })
  cpSync(join(repositoryRoot, 'images', 'bin'), join(context, 'bin'), { recursive: true })
  mkdirSync(join(context, 'node_modules'))
  const lock = JSON.parse(readFileSync(join(repositoryRoot, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; devOptional?: boolean }>
  }
  for (const [path, entry] of Object.entries(lock.packages)) {
    if (
      path === '' ||
      entry.dev === true ||
      entry.devOptional === true ||
      !existsSync(join(repositoryRoot, path))
    )
      continue
    const nested = join(repositoryRoot, path, 'node_modules')
    cpSync(join(repositoryRoot, path), join(context, path), {
      recursive: true,
      filter: (file) => file !== nested && !NOT_RUN.test(file),
    })
  }
}

/** The weir image on a base made of this machine's programs. `npm run build` must have run. */
export async function buildWeirImage(progress: Progress, tag: string = WEIR_IMAGE): Promise<void> {
  progress.say(`building image ${tag}`)
  await inContext(async (context) => {
    if (!(await buildahHas(NODE_IMAGE))) await buildNodeImage(join(context, 'base'))
    const app = join(context, 'app')
    mkdirSync(app)
    stageContext(app)
    await buildahBuild({
      tag,
      context: app,
      dockerfile: join(repositoryRoot, 'images', 'Dockerfile'),
      buildArgs: { NODE_IMAGE },
    })
    await buildahSave(tag, archiveOf(tag))
  })
}

async function buildNodeImage(context: string): Promise<void> {
  const base = RootFs.make(context)
  await base.program(process.execPath, '/usr/local/bin/node')
  await base.program('/bin/sh', '/bin/sh')
  base.certificates()
  await buildahBuild({
    tag: NODE_IMAGE,
    context,
    dockerfile: join(repositoryRoot, 'images', 'node.Dockerfile'),
  })
}

/**
 * Redis (apt's) and the S3 server for the chart's quickstart. Kept: they change with their versions
 * only.
 */
export async function buildServerImages(progress: Progress): Promise<void> {
  if (!existsSync(archiveOf(REDIS_IMAGE))) {
    progress.say(`building image ${REDIS_IMAGE}`)
    await ensurePackages(progress, { 'redis-server': 'redis-server', 'redis-cli': 'redis-tools' })
    await inContext(async (context) => {
      const root = RootFs.make(context)
      for (const program of ['redis-server', 'redis-cli', 'sh'] as const)
        await root.program((await which(program)) ?? program, `/usr/bin/${program}`)
      root.link('/usr/bin/sh', '/bin/sh')
      // The chart's default image is Valkey, whose programs have these names.
      root.link('redis-server', '/usr/bin/valkey-server')
      root.link('redis-cli', '/usr/bin/valkey-cli')
      await buildahBuild({
        tag: REDIS_IMAGE,
        context,
        dockerfile: join(repositoryRoot, 'images', 'redis.Dockerfile'),
      })
      await buildahSave(REDIS_IMAGE, archiveOf(REDIS_IMAGE))
    })
  }
  if (!existsSync(archiveOf(S3_IMAGE))) {
    const program = await goTool(VERSITYGW)
    progress.say(`building image ${S3_IMAGE}`)
    await inContext(async (context) => {
      await RootFs.make(context).program(program, '/usr/bin/versitygw')
      await buildahBuild({
        tag: S3_IMAGE,
        context,
        dockerfile: join(repositoryRoot, 'images', 's3.Dockerfile'),
      })
      await buildahSave(S3_IMAGE, archiveOf(S3_IMAGE))
    })
  }
}

export async function buildPauseImage(tag: string): Promise<string> {
  const archive = archiveOf(tag)
  if (existsSync(archive)) return archive
  const pause = await ensurePause()
  await buildahBuild({
    tag,
    context: dirname(pause),
    dockerfile: join(import.meta.dirname, 'pause', 'Dockerfile'),
  })
  await buildahSave(tag, archive)
  return archive
}

/** Compiles dist/ by the product's own build script. */
export async function buildDist(progress: Progress): Promise<void> {
  progress.say('compiling dist/')
  await run(process.execPath, [join(repositoryRoot, 'scripts', 'build.ts')], { cwd: repositoryRoot })
}

async function inContext(work: (context: string) => Promise<void>): Promise<void> {
  const context = mkdtempSync(join(tmpdir(), 'weir-image-'))
  try {
    await work(context)
  } finally {
    rmSync(context, { recursive: true, force: true })
  }
}
