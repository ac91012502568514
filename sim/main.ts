import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { isMutation, MUTATIONS, type Mutation } from './mutations.ts'
import { simulate, type SimulationResult } from './simulation.ts'

const USAGE = `Usage: node sim/main.ts [options]
  --seeds N        how many seeds to run (default 1000)
  --from N         first seed (default 1)
  --seed N         run this one seed only
  --trace          print every event of the run (with --seed)
  --mutation NAME  plant a bug: the run fails unless some seed notices it
                   ${Object.keys(MUTATIONS).join(', ')}
Exit code: 0 all seeds keep the invariants (or the planted bug was noticed), 1 not, 2 wrong usage.
`

export interface MainIo {
  write(text: string): void
  isTerminal: boolean
}

/** The command line; gives the exit code. */
export async function main(args: readonly string[], io: MainIo): Promise<number> {
  const { seeds, from, seed, trace, mutation } = parse(args)
  if (seeds === undefined) {
    io.write(USAGE)
    return 2
  }
  if (seed !== undefined) return runOne(seed, mutation, trace, io)
  const totals = { checkpoints: 0, savepoints: 0, deployments: 0, epochs: 0, adoptions: 0, virtualMs: 0 }
  const failed: SimulationResult[] = []
  for (let at = from; at < from + seeds; at++) {
    const result = await simulate({ seed: at, mutation })
    for (const key of Object.keys(totals) as (keyof typeof totals)[]) totals[key] += result[key]
    if (result.violations.length > 0) {
      failed.push(result)
      io.write(
        `${clear(io)}seed ${at} FAILED  ${result.violations[0]}\n  replay: node sim/main.ts --seed ${at} --trace${mutationText(mutation)}\n`,
      )
      if (mutation !== undefined) break
    }
    if (io.isTerminal || (at - from + 1) % 100 === 0)
      io.write(
        `${clear(io)}${at - from + 1}/${seeds} seeds, ${failed.length} failed, ${totals.checkpoints} checkpoints, ${totals.epochs} epochs${io.isTerminal ? '' : '\n'}`,
      )
  }
  io.write(
    `${clear(io)}${failed.length} of ${seeds} seeds failed; ${totals.checkpoints} checkpoints, ${totals.savepoints} savepoints, ${totals.deployments} deployments, ` +
      `${totals.epochs} epochs, ${totals.adoptions} adoptions in ${(totals.virtualMs / 60_000).toFixed(1)} simulated minutes\n`,
  )
  if (mutation === undefined) return failed.length === 0 ? 0 : 1
  if (failed.length === 0) io.write(`the planted bug ${mutation} was NOT noticed\n`)
  return failed.length > 0 ? 0 : 1
}

async function runOne(
  seed: number,
  mutation: Mutation | undefined,
  trace: boolean,
  io: MainIo,
): Promise<number> {
  const result = await simulate({
    seed,
    mutation,
    ...(trace ? { onTrace: (line: string) => io.write(`${line}\n`) } : {}),
  })
  for (const violation of result.violations) io.write(`seed ${seed} FAILED  ${violation}\n`)
  io.write(
    `seed ${seed}: ${result.violations.length === 0 ? 'ok' : 'FAILED'}, ${result.checkpoints} checkpoints, ${result.epochs} epochs, ${result.virtualMs.toFixed(0)} ms, trace ${result.traceHash}\n`,
  )
  return result.violations.length === 0 ? 0 : 1
}

interface Parsed {
  readonly seeds: number | undefined
  readonly from: number
  readonly seed: number | undefined
  readonly trace: boolean
  readonly mutation: Mutation | undefined
}

function parse(args: readonly string[]): Parsed {
  const wrong: Parsed = { seeds: undefined, from: 1, seed: undefined, trace: false, mutation: undefined }
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        seeds: { type: 'string', default: '1000' },
        from: { type: 'string', default: '1' },
        seed: { type: 'string' },
        trace: { type: 'boolean', default: false },
        mutation: { type: 'string' },
      },
    })
    const numbers = [values.seeds, values.from, values.seed ?? '1'].map(Number)
    if (!numbers.every((n) => Number.isSafeInteger(n) && n >= 0)) return wrong
    if (values.mutation !== undefined && !isMutation(values.mutation)) return wrong
    return {
      seeds: numbers[0],
      from: numbers[1] as number,
      seed: values.seed === undefined ? undefined : numbers[2],
      trace: values.trace,
      mutation: values.mutation as Mutation | undefined,
    }
  } catch {
    return wrong
  }
}

const clear = (io: MainIo): string => (io.isTerminal ? '\r\x1b[K' : '')
const mutationText = (mutation: Mutation | undefined): string =>
  mutation === undefined ? '' : ` --mutation ${mutation}`

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href)
  process.exitCode = await main(process.argv.slice(2), {
    write: (text) => process.stdout.write(text),
    isTerminal: process.stdout.isTTY,
  })
