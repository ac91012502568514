import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { RARE_STATES } from './rare-states.ts'
import { simulate, type SimulationResult } from './simulate.ts'
import { Tally } from './tally.ts'

const USAGE = `Usage: node sim/main.ts [options]
  --seeds N   how many seeds to run (default 1000)
  --from N    first seed (default 1)
  --seed N    run this one seed only
  --trace     tell the story of the run (with --seed)
  --until-noticed  stop at the first seed that fails, and do not count rare states
Exit code: 0 all seeds keep the invariants and every rare state is reached, 1 not, 2 wrong usage.
`

export interface MainIo {
  write(text: string): void
  isTerminal: boolean
}

/** The command line; gives the exit code. */
export async function main(args: readonly string[], io: MainIo): Promise<number> {
  const parsed = parse(args)
  if (parsed === undefined) {
    io.write(`error: not options of the simulator: ${args.join(' ')}\n${USAGE}`)
    return 2
  }
  return parsed.seed === undefined ? runMany(parsed, io) : runOne(parsed.seed, parsed.trace, io)
}

async function runMany({ from, seeds, untilNoticed }: Parsed, io: MainIo): Promise<number> {
  const tally = new Tally()
  for (let seed = from; seed < from + seeds; seed++) {
    const before = process.cpuUsage()
    const result = await simulate({ seed })
    const { user, system } = process.cpuUsage(before)
    tally.add(result, (user + system) / 1000)
    if (result.violations.length > 0) {
      io.write(`${clear(io)}${failureText(result)}`)
      if (untilNoticed) return 1
    }
    showProgress(tally, seeds, io)
  }
  io.write(`${clear(io)}${tally.text}`)
  if (untilNoticed) return 0
  const missing = tally.rarelyReached
  for (const state of missing) io.write(`reached too rarely: ${state} (${RARE_STATES[state]})\n`)
  return tally.failed === 0 && missing.length === 0 ? 0 : 1
}

function showProgress(tally: Tally, seeds: number, io: MainIo): void {
  const text = `${tally.seeds}/${seeds} seeds, ${tally.failed} failed`
  if (io.isTerminal) io.write(`${clear(io)}${text}`)
  else if (tally.seeds % 100 === 0) io.write(`${text}\n`)
}

async function runOne(seed: number, trace: boolean, io: MainIo): Promise<number> {
  const onTrace = trace ? (line: string) => io.write(`${line}\n`) : undefined
  const result = await simulate({ seed, onTrace })
  for (const violation of result.violations) io.write(`seed ${seed} FAILED  ${violation}\n`)
  const outcome = result.violations.length === 0 ? 'ok' : 'FAILED'
  const { scenario, virtualMs, traceHash } = result
  io.write(`seed ${seed}: ${outcome}, ${scenario}, ${virtualMs.toFixed(0)} ms, trace ${traceHash}\n`)
  return result.violations.length === 0 ? 0 : 1
}

function failureText({ seed, scenario, violations }: SimulationResult): string {
  const replay = `npm run sim -- --seed ${seed} --trace`
  return `seed ${seed} FAILED (${scenario})  ${violations[0]}\n  replay: ${replay}\n`
}

interface Parsed {
  readonly seeds: number
  readonly from: number
  readonly seed: number | undefined
  readonly trace: boolean
  readonly untilNoticed: boolean
}

function parse(args: readonly string[]): Parsed | undefined {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        seeds: { type: 'string', default: '1000' },
        from: { type: 'string', default: '1' },
        seed: { type: 'string' },
        trace: { type: 'boolean', default: false },
        'until-noticed': { type: 'boolean', default: false },
      },
    })
    const [seeds, from, seed] = [values.seeds, values.from, values.seed ?? '1'].map(Number) as [
      number,
      number,
      number,
    ]
    if (![seeds, from, seed].every((n) => Number.isSafeInteger(n) && n >= 0)) return undefined
    return {
      seeds,
      from,
      seed: values.seed === undefined ? undefined : seed,
      trace: values.trace,
      untilNoticed: values['until-noticed'],
    }
  } catch {
    return undefined
  }
}

const clear = (io: MainIo): string => (io.isTerminal ? '\r\x1b[K' : '')

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href)
  process.exitCode = await main(process.argv.slice(2), {
    write: (text) => process.stdout.write(text),
    isTerminal: process.stdout.isTTY,
  })
