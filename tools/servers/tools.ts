import { execFile } from 'node:child_process'
import { access, mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const say = (text: string): void => void process.stderr.write(`[test kit] ${text}\n`)

/** Where built tools are kept between runs. */
export const toolsDirectory = (): string =>
  join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'weir', 'tools')

export interface GoTool {
  /** Name of the executable, as `go install` calls it. */
  readonly name: string
  /** Import path of its main package. */
  readonly pkg: string
  /** `v1.2.3`. */
  readonly version: string
}

/**
 * Path of the tool, built with `go install` the first time. Rejects with what to do when Go is
 * missing or the build fails.
 */
export async function goTool({ name, pkg, version }: GoTool): Promise<string> {
  const directory = join(toolsDirectory(), `${name}-${version}`)
  const path = join(directory, name)
  if (await exists(path)) return path
  const go =
    (await onPath('go')) ?? ((await exists('/usr/local/go/bin/go')) ? '/usr/local/go/bin/go' : undefined)
  if (go === undefined)
    throw new Error(
      `${name} is needed and Go is not installed. ` +
        `Install Go (https://go.dev/dl) or put ${name} ${version} at ${path}.`,
    )
  await mkdir(dirname(directory), { recursive: true })
  const building = await mkdtemp(`${directory}.building-`)
  const started = performance.now()
  say(`building ${name} ${version} with Go; the first build takes some minutes`)
  const progress = setInterval(() => say(`still building ${name}, ${seconds(started)} s`), 15_000)
  try {
    await run(go, ['install', '-p', '2', `${pkg}@${version}`], {
      env: { ...process.env, GOBIN: building, GOFLAGS: '-mod=mod', CGO_ENABLED: '0' },
      maxBuffer: 64 * 1024 * 1024,
    })
    // Several test processes may build at once: the first rename wins, the others find its result.
    await rename(building, directory).catch(async (error: unknown) => {
      if (!(await exists(path))) throw error
    })
    say(`built ${name} ${version} in ${seconds(started)} s`)
    return path
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new Error(`Cannot build ${name} from ${pkg}@${version}: ${why}`, { cause: error })
  } finally {
    clearInterval(progress)
    await rm(building, { recursive: true, force: true })
  }
}

/**
 * Path of `binary`: from PATH, or installed from the Debian package when this is root on a system
 * with apt.
 */
export async function aptTool(binary: string, debPackage: string): Promise<string> {
  const found = await onPath(binary)
  if (found !== undefined) return found
  const apt = await onPath('apt-get')
  if (apt === undefined || process.getuid?.() !== 0)
    throw new Error(
      `${binary} is needed and not on PATH. ` +
        `Install it, on Debian and Ubuntu: sudo apt-get install ${debPackage}.`,
    )
  say(`installing ${debPackage}`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const install = (): Promise<unknown> =>
    run(apt, ['install', '-y', '--no-install-recommends', debPackage], { env, maxBuffer: 64 * 1024 * 1024 })
  await install().catch(async () => {
    await run(apt, ['update'], { env, maxBuffer: 64 * 1024 * 1024 })
    await install()
  })
  const installed = await onPath(binary)
  if (installed === undefined)
    throw new Error(`Debian package ${debPackage} was installed but has no executable ${binary}.`)
  return installed
}

async function onPath(binary: string): Promise<string | undefined> {
  for (const directory of (process.env['PATH'] ?? '').split(delimiter))
    if (directory !== '' && (await exists(join(directory, binary)))) return join(directory, binary)
  return undefined
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )
const seconds = (started: number): number => Math.round((performance.now() - started) / 1000)
