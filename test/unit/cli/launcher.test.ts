import { spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { VERSION } from '#runtime/contract/version'
import { repositoryRoot } from '#tools/repository-root'

const LAUNCHER = join(repositoryRoot, 'bin/weir.js')

let home: string
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'weir-launcher-'))
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

const environment = (extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv => {
  const { NODE_COMPILE_CACHE: _, NODE_DISABLE_COMPILE_CACHE: __, XDG_CACHE_HOME: ___, ...rest } = process.env
  return { ...rest, HOME: home, ...extra }
}
const start = (file: string, args: readonly string[], extra?: Readonly<Record<string, string>>) =>
  spawnSync(process.execPath, [file, ...args], { encoding: 'utf8', env: environment(extra) })
const caches = (path: string): readonly string[] => (existsSync(path) ? readdirSync(path) : [])

/** What a package has around its launcher; the sources of a clone, or compiled. */
function packageWith(main: string, text: string): string {
  const root = join(home, 'package')
  mkdirSync(join(root, 'bin'), { recursive: true })
  mkdirSync(join(root, main, '..'), { recursive: true })
  cpSync(LAUNCHER, join(root, 'bin/weir.js'))
  writeFileSync(join(root, 'package.json'), '{"type":"module"}')
  writeFileSync(join(root, main), text)
  return join(root, 'bin/weir.js')
}

describe('weir', () => {
  test('runs from the sources of a clone, also as the plugin of kubectl', () => {
    expect(start(LAUNCHER, ['--version'])).toMatchObject({ status: 0, stdout: `${VERSION}\n` })
    const plugin = join(home, 'kubectl-weir')
    symlinkSync(LAUNCHER, plugin)
    expect(start(plugin, ['--help']).stdout).toMatch(/^Usage: kubectl weir/)
  })

  test('runs what is compiled where there are no sources', () => {
    const launcher = packageWith('dist/cli/main.js', 'console.log(process.argv.slice(2).join())')
    expect(start(launcher, ['a', 'b']).stdout).toBe('a,b\n')
  })

  test('keeps compiled code for its user alone, and tells its children where', () => {
    const launcher = packageWith('cli/main.ts', 'console.log(process.env["NODE_COMPILE_CACHE"])')
    const cache = join(home, '.cache/weir/compile-cache')
    expect(start(launcher, []).stdout).toBe(`${cache}\n`)
    expect(caches(cache)).not.toEqual([])
    expect(statSync(cache).mode & 0o777).toBe(0o700)
    const chosen = join(home, 'chosen')
    expect(start(launcher, [], { XDG_CACHE_HOME: chosen }).stdout).toBe(`${chosen}/weir/compile-cache\n`)
  })

  test('keeps none where others can write, or where the user says otherwise', () => {
    const launcher = packageWith('cli/main.ts', 'console.log(process.env["NODE_COMPILE_CACHE"])')
    const cache = join(home, '.cache/weir/compile-cache')
    mkdirSync(cache, { recursive: true })
    chmodSync(cache, 0o777)
    expect(start(launcher, []).stdout).toBe('undefined\n')
    expect(caches(cache)).toEqual([])
    expect(start(launcher, [], { NODE_COMPILE_CACHE: join(home, 'own') }).stdout).toBe(`${home}/own\n`)
    expect(start(launcher, [], { NODE_DISABLE_COMPILE_CACHE: '1' }).stdout).toBe('undefined\n')
    expect(start(launcher, [], { HOME: '/dev/null' })).toMatchObject({ status: 0, stdout: 'undefined\n' })
    const homeless = `import os from 'node:os'
      import { syncBuiltinESMExports } from 'node:module'
      os.homedir = () => { throw new Error('no home') }
      syncBuiltinESMExports()`
    const args = ['--import', `data:text/javascript,${encodeURIComponent(homeless)}`, launcher]
    const { stdout } = spawnSync(process.execPath, args, { encoding: 'utf8', env: environment() })
    expect(stdout).toBe('undefined\n')
  })
})

describe('with a Node that is too old, weir', () => {
  /** Says that it is an old version, as `node` would. */
  const old = `data:text/javascript,${encodeURIComponent(
    "Object.defineProperty(process.versions, 'node', { value: '20.1.0' })",
  )}`
  const oldNode = (launcher: string, args: readonly string[]) => ['--import', old, launcher, ...args]

  test('says what it needs', () => {
    const launcher = packageWith('dist/cli/main.js', '')
    const { status, stderr } = spawnSync(process.execPath, oldNode(launcher, []), { encoding: 'utf8' })
    expect(stderr).toMatch(/^error: weir needs Node 24 or newer, this is v.*\nInstall one from/)
    expect(status).toBe(2)
  })

  test('goes on with the one of the clone: arguments, signals and exit code pass through', async () => {
    const launcher = packageWith(
      'cli/main.ts',
      `process.on('SIGTERM', () => process.exit(7))
       setInterval(() => undefined, 1000)
       console.log(process.argv.slice(2).join())`,
    )
    const bin = join(home, 'package/node_modules/node/bin')
    mkdirSync(bin, { recursive: true })
    symlinkSync(process.execPath, join(bin, 'node'))
    const child = spawn(process.execPath, oldNode(launcher, ['a', 'b']), { env: environment() })
    const [line] = (await once(child.stdout, 'data')) as [Buffer]
    expect(line.toString()).toBe('a,b\n')
    child.kill('SIGTERM')
    expect(await once(child, 'exit')).toEqual([7, null])
  })
})
