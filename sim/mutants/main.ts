/**
 * `npm run sim:mutants`: plants each bug of bugs.ts in a copy of the product, one at a time, and
 * says which invariant noticed it and after how many seeds. A bug that nothing notices, or that
 * cannot be planted any more because its lines have changed, fails the command.
 *   --list          says what there is
 *   --only A,B      those whose names contain one of these
 *   --seeds N       most seeds per bug (default 3000), from --from N on
 *   --parallel N    how many bugs at a time (default: one per processor)
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Bug } from './bug.ts'
import { BUGS } from './bugs.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** What the simulator, and the tests of a second line of defence, are made of. */
const COPIED = ['runtime', 'sim', 'test', 'tools', 'package.json', 'tsconfig.json', 'vitest.config.ts']
const DEFAULT_SEEDS = 3000
const LIMIT_MS = 15 * 60_000

interface Verdict {
  readonly bug: Bug
  readonly noticed: boolean
  readonly how: string
}

/** To be removed, and to be ended, whatever ends this process. */
const copies = new Set<string>()
const children = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL')
  for (const copy of copies) remove(copy)
})
process.once('SIGINT', () => process.exit(130))
process.once('SIGTERM', () => process.exit(143))

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: String(DEFAULT_SEEDS) },
    from: { type: 'string', default: '1' },
    only: { type: 'string' },
    parallel: { type: 'string', default: String(availableParallelism()) },
    list: { type: 'boolean', default: false },
  },
})

/** Parts of names, separated by commas. */
const wanted = values.only?.split(',') ?? ['']
const bugs = BUGS.filter(({ name }) => wanted.some((part) => name.includes(part)))
if (values.list) for (const bug of bugs) console.log(`${bug.name.padEnd(34)} ${bug.breaks}`)
else process.exitCode = await run()

async function run(): Promise<number> {
  const waiting = [...bugs]
  const lanes = Array.from({ length: Math.min(Number(values.parallel), bugs.length) }, () => tryIn(waiting))
  const verdicts = (await Promise.all(lanes)).flat()
  const missed = verdicts.filter((v) => !v.noticed)
  console.log(`${verdicts.length - missed.length} of ${verdicts.length} planted bugs noticed`)
  return missed.length === 0 ? 0 : 1
}

/** Takes bugs from `waiting` until there are none, each planted in the same copy of the product. */
async function tryIn(waiting: Bug[]): Promise<Verdict[]> {
  const copy = mkdtempSync(join(tmpdir(), 'weir-mutants-'))
  copies.add(copy)
  const verdicts: Verdict[] = []
  try {
    for (const name of COPIED) cpSync(join(ROOT, name), join(copy, name), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'))
    for (let bug = waiting.shift(); bug !== undefined; bug = waiting.shift()) {
      const verdict = await plant(copy, bug)
      verdicts.push(verdict)
      console.log(`${verdict.noticed ? 'noticed' : 'MISSED '} ${bug.name.padEnd(34)} ${verdict.how}`)
    }
    return verdicts
  } finally {
    remove(copy)
  }
}

function remove(copy: string): void {
  rmSync(copy, { recursive: true, force: true })
  copies.delete(copy)
}

async function plant(copy: string, bug: Bug): Promise<Verdict> {
  if (bug.test !== undefined && (await vitest(copy, bug.test)).code !== 0)
    return { bug, noticed: false, how: `${bug.test} fails without the bug` }
  const originals = new Map<string, string>()
  try {
    for (const { file, find, replace } of bug.patches) {
      const path = join(copy, file)
      const text = readFileSync(path, 'utf8')
      originals.set(path, originals.get(path) ?? text)
      const count = text.split(find).length - 1
      if (count !== 1)
        return { bug, noticed: false, how: `cannot be planted: its lines occur ${count} times in ${file}` }
      writeFileSync(
        path,
        text.replace(find, () => replace),
      )
    }
    return bug.test === undefined ? await simulate(copy, bug) : await runTest(copy, bug, bug.test)
  } finally {
    for (const [path, text] of originals) writeFileSync(path, text)
  }
}

async function simulate(copy: string, bug: Bug): Promise<Verdict> {
  const args = ['sim/main.ts', '--seeds', values.seeds, '--from', values.from, '--until-noticed']
  const { code, output } = await execute(copy, args)
  const failure = /seed (\d+) FAILED \(([^)]*)\) +([^:]+): (.*)/.exec(output)
  if (code === 0) return { bug, noticed: false, how: `not within ${values.seeds} seeds` }
  if (failure === null) return { bug, noticed: false, how: `the simulator failed: ${output.slice(-300)}` }
  const [, seed, , invariant, text = ''] = failure
  const seeds = Number(seed) - Number(values.from) + 1
  return { bug, noticed: true, how: `after ${seeds} seeds by ${invariant}: ${text.slice(0, 90)}` }
}

async function runTest(copy: string, bug: Bug, test: string): Promise<Verdict> {
  const { code, output } = await vitest(copy, test)
  const failed = /(\d+) failed/.exec(output)
  if (code !== 0 && failed !== null) return { bug, noticed: true, how: `by ${test}, ${bug.because ?? ''}` }
  return { bug, noticed: false, how: `${test} does not fail` }
}

function vitest(copy: string, test: string): ReturnType<typeof execute> {
  return execute(copy, ['node_modules/vitest/vitest.mjs', 'run', test])
}

function execute(cwd: string, args: readonly string[]): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { cwd, env: { ...process.env, NO_COLOR: '1' } })
    children.add(child)
    let output = ''
    const take = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-20_000)
    }
    child.stdout.on('data', take)
    child.stderr.on('data', take)
    const limit = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS)
    child.on('exit', (code) => {
      clearTimeout(limit)
      children.delete(child)
      resolve({ code, output })
    })
  })
}
