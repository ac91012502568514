/**
 * `npm run demo`: the word count over the prose of the installed packages, on two TaskManagers with
 * a checkpoint each second. One TaskManager is killed on the way. At the end what was committed is
 * compared with what `tr | sort | uniq -c` say about the same files; the command fails when they
 * differ in anything.
 *
 * Options: --megabytes N (text to read, default 20), --dir D (default .weir/demo; made anew).
 */
import { rm } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { clockTime } from '#cli/age'
import { LockFile } from '#cli/local/lock'
import { formatBytes } from '#runtime/base/units'
import { committedFiles, readEmitted } from '#tools/word-count/committed-output'
import { compareCounts } from '#tools/word-count/emitted-counts'
import { gatherText } from './demo/gather-text.ts'
import { independentCount, PIPELINE } from '#tools/word-count/independent-count'
import { type DemoRun, recoveryText, runWordCount } from './demo/word-count-run.ts'
import { repositoryRoot } from '#tools/repository-root'

const { values } = parseArgs({
  options: {
    megabytes: { type: 'string', default: '20' },
    dir: { type: 'string', default: join(repositoryRoot, '.weir', 'demo') },
  },
})
/** A machine fast enough to read everything before the kill gets more to read. */
const GROWTH = 3
const ATTEMPTS = 3

const say = (line: string) => console.log(`${clockTime(Date.now())} ${line}`)
const begun = performance.now()
const directory = resolve(values.dir)
const [input, output, stateDir] = [
  join(directory, 'input'),
  join(directory, 'output'),
  join(directory, 'state'),
]

try {
  let bytes = megabytes(values.megabytes) * 1024 * 1024
  for (let attempt = 1; ; attempt++) {
    const run = await countWords(bytes)
    if (run.killed) {
      const isEqual = await compare(run)
      process.exitCode = isEqual ? 0 : 1
      break
    }
    if (attempt === ATTEMPTS)
      throw new Error(
        `Even ${formatBytes(bytes)} were read before two checkpoints. ` +
          'Give more: npm run demo -- --megabytes 1000',
      )
    bytes *= GROWTH
    console.log(`That was over before two checkpoints: again with ${formatBytes(bytes)}.\n`)
  }
} catch (error) {
  console.error(`error: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}

function megabytes(text: string): number {
  const n = Number(text)
  if (Number.isFinite(n) && n > 0) return n
  throw new Error(`--megabytes is ${JSON.stringify(text)}; expected a number above 0.`)
}

async function countWords(bytes: number): Promise<DemoRun> {
  if (LockFile.holder(join(stateDir, 'lock')) !== undefined)
    throw new Error(`Another demo runs in ${directory}. Wait for it, or choose another directory by --dir.`)
  await rm(directory, { recursive: true, force: true })
  const text = await gatherText(join(repositoryRoot, 'node_modules'), input, bytes)
  console.log(
    `word count over ${text.files} files, ${formatBytes(text.bytes)}: ` +
      `READMEs, change logs and licences from node_modules, ${text.rounds} times over`,
  )
  console.log('2 TaskManagers x 2 slots as processes of this machine, a checkpoint each second\n')
  return await runWordCount({
    module: join(repositoryRoot, 'examples', 'word-count.ts'),
    input,
    output,
    stateDir,
    say,
  })
}

async function compare(run: DemoRun): Promise<boolean> {
  console.log(
    `\ncomparing with: LC_ALL=C ${PIPELINE.replace('"$1"', relative(process.cwd(), input) || input)}`,
  )
  const files = await committedFiles(output)
  const [expected, emitted] = [await independentCount(input), await readEmitted(files)]
  const { words, total, differences, differing } = compareCounts(emitted, expected)
  if (differing > 0) {
    console.log(`DIFFERENT in ${differing} points, the first of them:\n  ${differences.join('\n  ')}`)
    console.log(`Everything is left in ${directory}.`)
    return false
  }
  const number = (n: number) => n.toLocaleString('en-US')
  console.log(
    `equal: ${number(total)} words, ${number(words)} different ones; ` +
      `each count of each word was committed exactly once, in ${files.length} files\n`,
  )
  const sorted = run.checkpointMs.toSorted((a, b) => a - b)
  const lines: readonly (readonly [string, string])[] = [
    [
      'first result',
      run.firstResultMs === undefined
        ? 'not seen'
        : `${number(Math.round(run.firstResultMs))} ms after the start of the job`,
    ],
    [
      'checkpoints',
      `${sorted.length}, median ${ms(sorted[sorted.length >> 1])}, longest ${ms(sorted.at(-1))}`,
    ],
    [
      'recovery',
      run.recovery === undefined
        ? 'not recorded'
        : `${recoveryText(run.recovery)} from checkpoint ${run.recovery.checkpointId ?? 'none'}`,
    ],
    ['job', `${(run.totalMs / 1000).toFixed(1)} s with the kill`],
    ['all', `${((performance.now() - begun) / 1000).toFixed(1)} s`],
  ]
  for (const [what, value] of lines) console.log(`${what.padEnd(14)}${value}`)
  const state = relative(process.cwd(), stateDir) || stateDir
  const first = relative(process.cwd(), files[0] ?? output)
  console.log(`\nLook around: weir checkpoints list --state-dir ${state}; head ${first}`)
  return true
}

function ms(value: number | undefined): string {
  return value === undefined ? '-' : `${Math.round(value)} ms`
}
