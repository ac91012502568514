/**
 * `npm run chaos`: a real job on real servers, while everything around it fails; then its output is
 * checked record by record. docs/chaos.md says what is done and what is checked.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { messageOf } from '#runtime/base/errors'
import { CLUSTER_KINDS } from './cluster/kinds.ts'
import { openCluster, runOnCluster } from './cluster/run.ts'
import { KINDS } from './kinds.ts'
import { lookAtMachine, type Machine, type Need } from './machine.ts'
import { type Draw, type Options, parseOptions, USAGE } from './options.ts'
import { type Plan, planOf } from './plan.ts'
import { failureText, lineOf, listOf, totalsOf } from './report.ts'
import { type Result, runPlan } from './run.ts'
import type { Stage } from './stage.ts'
import { Story } from './story.ts'

async function main(args: readonly string[]): Promise<number> {
  const options = optionsOrUsage(args)
  if (options === undefined) return 2
  if (options.isList) {
    console.log(listOf(options.on === 'cluster' ? CLUSTER_KINDS : KINDS))
    return 0
  }
  return options.on === 'cluster' ? await mainOnCluster(options) : await performAll(options, runHere)
}

type OnCluster = Extract<Options, { on: 'cluster' }>

async function mainOnCluster(options: OnCluster): Promise<number> {
  const cluster = await openCluster()
  return await performAll(options, ({ draw, ...rest }) =>
    runOnCluster({ cluster, plan: planOf(draw), ...rest }),
  )
}

async function runHere({ draw, ...rest }: Attempt<Stage>): Promise<Result> {
  const plan = planOf(draw)
  return await runPlan({ plan, machine: await machineFor(plan), ...rest })
}

interface Attempt<S> {
  readonly draw: Draw<S>
  readonly directory: string
  readonly story: Story
}
type Run<S> = (attempt: Attempt<S>) => Promise<Result>

interface AllOptions<S> extends Pick<Options, 'limitMs' | 'isVerbose'> {
  readonly draws: Iterable<Draw<S>>
}

async function performAll<S>(options: AllOptions<S>, run: Run<S>): Promise<number> {
  const began = performance.now()
  const results: Result[] = []
  let notRun = 0
  for (const draw of options.draws) {
    const slowestMs = Math.max(0, ...results.map(({ tookMs }) => tookMs))
    if (performance.now() - began + slowestMs > options.limitMs) {
      console.log(`left out, for want of time: seed ${draw.seed} and what follows it`)
      break
    }
    const result = await perform(draw, options.isVerbose, run)
    if (result === undefined) notRun++
    else results.push(result)
  }
  console.log(totalsOf(results))
  const passed = results.filter(({ violations }) => violations.length === 0).length
  const failed = results.length - passed + notRun
  console.log(`${passed} passed, ${failed} failed`)
  return failed === 0 && results.length > 0 ? 0 : 1
}

/** Undefined: it could not be begun, and was said why. */
async function perform<S>(draw: Draw<S>, isVerbose: boolean, run: Run<S>): Promise<Result | undefined> {
  const directory = mkdtempSync(join(tmpdir(), `weir-chaos-${draw.seed}-`))
  const story = new Story(isVerbose ? (line) => console.log(line) : undefined)
  try {
    const result = await run({ draw, directory, story })
    console.log(lineOf(result))
    if (result.violations.length > 0) console.log(failureText(result, story.text, directory))
    else rmSync(directory, { recursive: true, force: true })
    return result
  } catch (error) {
    console.log(`seed ${draw.seed} could not be run: ${messageOf(error)}\n${story.text}\nLogs: ${directory}`)
    return undefined
  }
}

/** What the faults of the plan need is looked for; what is missing is said. */
async function machineFor({ rounds }: Plan): Promise<Machine> {
  const kinds = rounds.flatMap(({ faults }) => faults.map(({ kind }) => kind))
  const needs = new Set<Need>(kinds.flatMap(({ need }) => need ?? []))
  const machine = await lookAtMachine(needs)
  for (const need of needs) {
    const found = machine[need]
    const names = [...new Set(kinds.filter((kind) => kind.need === need).map(({ name }) => name))]
    if ('missing' in found) console.log(`SKIPPED ${names.join(', ')}: ${found.missing}`)
  }
  return machine
}

function optionsOrUsage(args: readonly string[]) {
  try {
    return parseOptions(args)
  } catch (error) {
    console.log(`${messageOf(error)}\n\n${USAGE}`)
    return undefined
  }
}

// So that what was started and mounted is ended (by handlers of 'exit').
process.once('SIGINT', () => process.exit(130))
process.once('SIGTERM', () => process.exit(143))
process.exitCode = await main(process.argv.slice(2))
