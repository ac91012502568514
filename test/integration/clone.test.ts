import { cp, mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { VERSION } from '#runtime/contract/version'
import { repositoryRoot } from '#tools/repository-root'
import { type TempDir, tempDir } from '#tools/servers/temp-dir'
import { runProgram } from '../../scripts/program.ts'

const COPIED = ['bin', 'cli', 'examples', 'operator', 'runtime', 'scripts', 'tools', 'package.json']

let clone: TempDir
/** As in a shell of the user's: without the programs of the packages of these tests. */
const PATH = (process.env['PATH'] ?? '')
  .split(delimiter)
  .filter((path) => !path.includes('node_modules'))
  .join(delimiter)
const run = (file: string, args: readonly string[]) =>
  runProgram(file, args, {
    cwd: clone.path,
    env: { PATH, HOME: join(clone.path, 'home'), npm_config_update_notifier: 'false' },
  })

/** What `npm ci` leaves. */
beforeAll(async () => {
  clone = await tempDir('clone')
  await mkdir(join(clone.path, 'home'))
  for (const name of COPIED) await cp(join(repositoryRoot, name), join(clone.path, name), { recursive: true })
  const packages = join(clone.path, 'node_modules')
  await mkdir(packages)
  for (const name of await readdir(join(repositoryRoot, 'node_modules')))
    if (!name.startsWith('.')) await symlink(join(repositoryRoot, 'node_modules', name), join(packages, name))
})
afterAll(() => clone.remove())

test('npx finds the command of a clone, without asking a registry', async () => {
  const { code, output } = await run('npx', ['--no', '--offline', 'weir', '--version'])
  expect(output.split('\n')).toContain(VERSION)
  expect(code).toBe(0)
})

test('npx weir runs a job from the sources', async () => {
  await mkdir(join(clone.path, 'in'))
  await writeFile(join(clone.path, 'in/words.txt'), 'the end\n')
  const args = ['--arg', 'input=in', '--arg', 'output=out', '--task-managers', '1']
  const { code, output } = await run('npx', ['weir', 'run', 'examples/word-count.ts', ...args])
  expect(output).toMatch(/^word-count finished: 1 records read .*, 2 written/m)
  expect(code).toBe(0)
})
