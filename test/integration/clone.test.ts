import { cp, mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { VERSION } from '#runtime/contract/version'
import { repositoryRoot } from '#tools/repository-root'
import { type TempDir, tempDir } from '#tools/servers/temp-dir'
import { runProgram } from '../../scripts/program.ts'

const COPIED = ['bin', 'cli', 'examples', 'operator', 'runtime', 'scripts', 'tools', 'package.json']

let clone: TempDir
/** As in a shell of the user's: nothing of the run of these tests, which npm may have started. */
const environment = Object.fromEntries(
  Object.entries({
    ...process.env,
    PATH: (process.env['PATH'] ?? '')
      .split(delimiter)
      .filter((path) => !path.includes('node_modules'))
      .join(delimiter),
  }).filter(([name, value]) => !name.startsWith('npm_') && value !== undefined),
) as Readonly<Record<string, string>>
const run = (file: string, args: readonly string[]) =>
  runProgram(file, args, { cwd: clone.path, env: environment })

/** What `npm ci` leaves: the packages, and what the script `prepare` does. */
beforeAll(async () => {
  clone = await tempDir('clone')
  for (const name of COPIED) await cp(join(repositoryRoot, name), join(clone.path, name), { recursive: true })
  const packages = join(clone.path, 'node_modules')
  await mkdir(packages)
  for (const name of await readdir(join(repositoryRoot, 'node_modules')))
    if (!name.startsWith('.')) await symlink(join(repositoryRoot, 'node_modules', name), join(packages, name))
  const { code, output } = await run('npm', ['run', 'prepare'])
  if (code !== 0) throw new Error(output)
})
afterAll(() => clone.remove())

test('npx finds the command of a clone, without asking a registry', async () => {
  const { code, output } = await run('npx', ['--no', '--offline', 'weir', '--version'])
  expect(output.trim().split('\n').at(-1)).toBe(VERSION)
  expect(code).toBe(0)
})

test('npx weir runs a job from the sources', async () => {
  await mkdir(join(clone.path, 'in'))
  await writeFile(join(clone.path, 'in/words.txt'), 'the end\n')
  const args = ['--arg', 'input=in', '--arg', 'output=out', '--task-managers', '1']
  const { code, output } = await run('npx', ['weir', 'run', 'examples/word-count.ts', ...args])
  expect(output).toContain('word-count finished: 1 records read, 2 written')
  expect(code).toBe(0)
})
