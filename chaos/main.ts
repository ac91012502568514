/**
 * `npm run chaos`: a real job on real servers, while everything around it fails; then its output is
 * checked record by record. docs/chaos.md says what is done and what is checked.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { messageOf } from '#runtime/base/errors'
import { KINDS } from './kinds.ts'
import { lookAtMachine, type Machine, type Need } from './machine.ts'
import { type Draw, parseOptions, USAGE } from './options.ts'
import { type Plan, planOf } from './plan.ts'
import { failureText, lineOf, listOf, totalsOf } from './report.ts'
import { type Result, runPlan } from './run.ts'
import { Story } from './story.ts'

async function main(args: readonly string[]): Promise<number> {
  const options = optionsOrUsage(args)
  if (options === undefined) return 2
  if (options.isList) {
    console.log(listOf(KINDS))
    return 0
  }
  const began = performance.now()
  const results: Result[] = []
  let failed = 0
  for (const draw of options.draws) {
    const slowestMs = Math.max(0, ...results.map(({ tookMs }) => tookMs))
    if (performance.now() - began + slowestMs > options.limitMs) {
      console.log(`left out, for want of time: seed ${draw.seed} and what follows it`)
      break
    }
    const result = await perform(draw, options.isVerbose)
    if (result !== undefined) results.push(result)
    if (result === undefined || result.violations.length > 0) failed++
  }
  console.log(totalsOf(results))
  console.log(`${results.length - failed} passed, ${failed} failed`)
  return failed === 0 && results.length > 0 ? 0 : 1
}

/** Undefined: it could not be begun, and was said why. */
async function perform(draw: Draw, isVerbose: boolean): Promise<Result | undefined> {
  const plan = planOf(draw)
  const directory = mkdtempSync(join(tmpdir(), `weir-chaos-${draw.seed}-`))
  const story = new Story(isVerbose ? (line) => console.log(line) : undefined)
  try {
    const machine = await machineFor(plan)
    const result = await runPlan({ plan, directory, story, machine })
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
