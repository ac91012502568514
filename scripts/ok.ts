/**
 * `npm run ok`: everything that has to hold before a commit, in well under a minute. Each step is
 * one tool; all steps run, so that one run shows all that is wrong. Exit code 1 when a step failed.
 */
import { runNode, seconds, tool } from './program.ts'

interface Step {
  readonly name: string
  readonly args: readonly string[]
  /** What to do when it fails. */
  readonly remedy: string
}

const STEPS: readonly Step[] = [
  { name: 'format', args: [tool('oxfmt/bin/oxfmt'), '--check', '.'], remedy: 'npm run fmt' },
  {
    name: 'lint',
    args: [tool('oxlint/bin/oxlint'), '--type-aware'],
    remedy: 'correct what is listed; npm run lint repeats it',
  },
  {
    name: 'types',
    args: [tool('typescript/bin/tsc'), '-p', '.'],
    remedy: 'correct what is listed; npx tsc -p . repeats it',
  },
  {
    name: 'generated files',
    args: ['scripts/gen.ts', '--check'],
    remedy: 'npm run gen, and commit what changed',
  },
  {
    name: 'generated docs',
    args: ['scripts/gen-docs.ts', '--check'],
    remedy: 'npm run gen, and commit what changed',
  },
  {
    name: 'unit tests',
    args: [tool('vitest/vitest.mjs'), 'run', '--project', 'unit', '--reporter', 'dot'],
    remedy: 'npx vitest run --project unit repeats them',
  },
]

let failed = 0
const started = performance.now()
for (const { name, args, remedy } of STEPS) {
  const { code, output, durationMs } = await runNode(args, { env: { NO_COLOR: '1' } })
  console.log(`${code === 0 ? 'ok    ' : 'FAILED'} ${name.padEnd(16)} ${seconds(durationMs)}`)
  if (code === 0) continue
  failed++
  console.log(`\n${output.trim()}\n\n${name} failed: ${remedy}\n`)
}
console.log(
  failed === 0
    ? `all ${STEPS.length} steps ok in ${seconds(performance.now() - started)}`
    : `${failed} of ${STEPS.length} steps failed`,
)
process.exitCode = failed === 0 ? 0 : 1
