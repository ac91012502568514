import { parseArgs } from 'node:util'
import type { FaultKind } from './fault.ts'
import { KINDS } from './kinds.ts'
import { KEPT_SEEDS } from './seeds.ts'

const DEFAULT_ROUNDS = 5
/** Of a call without arguments. */
const KEPT_MINUTES = 5

export const USAGE = `Usage: npm run chaos -- [options]
  (no options)   the seeds that are kept in chaos/seeds.ts, at most ${KEPT_MINUTES} minutes
  --seed N       this seed; with --seeds or --minutes: the first of them (default 1)
  --seeds N      this many seeds
  --minutes N    one seed after the other, until this time is over
  --kinds A,B    only these faults
  --rounds N     rounds of faults for each seed (default ${DEFAULT_ROUNDS})
  --verbose      tell the story while it happens
  --list         the faults there are
Exit code: 0 everything held, 1 not, 2 wrong options.
`

/** One seed and what is drawn with it. */
export interface Draw {
  readonly seed: number
  readonly kinds: readonly FaultKind[]
  readonly rounds: number
}

export interface Options {
  readonly isList: boolean
  readonly isVerbose: boolean
  /** In this order; may be endless when there is a limit of time. */
  readonly draws: Iterable<Draw>
  /** No seed is begun that would probably end after it; Infinity: no limit. */
  readonly limitMs: number
}

/** @throws {Error} what is wrong, and what there is instead */
export function parseOptions(args: readonly string[]): Options {
  const values = valuesOf(args)
  const { minutes } = values
  const isKept = [values.seed, values.seeds, minutes, values.kinds].every((it) => it === undefined)
  const limitMinutes = minutes ?? (isKept ? KEPT_MINUTES : Infinity)
  return {
    isList: values.list,
    isVerbose: values.verbose,
    draws: isKept ? keptDraws() : chosenDraws(values),
    limitMs: limitMinutes * 60_000,
  }
}

function valuesOf(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: { type: 'string' },
      seeds: { type: 'string' },
      minutes: { type: 'string' },
      kinds: { type: 'string' },
      rounds: { type: 'string' },
      verbose: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
    },
  })
  const whole = (option: 'seed' | 'seeds' | 'minutes' | 'rounds'): number | undefined => {
    const text = values[option]
    if (text === undefined || (Number.isInteger(Number(text)) && Number(text) > 0))
      return text === undefined ? undefined : Number(text)
    throw new Error(`--${option} is ${text}; expected a whole number above 0.`)
  }
  return {
    ...values,
    seed: whole('seed'),
    seeds: whole('seeds'),
    minutes: whole('minutes'),
    rounds: whole('rounds'),
  }
}

/** Without a limit of time one seed, unless there is a number. */
function* chosenDraws(values: ReturnType<typeof valuesOf>): Generator<Draw> {
  const { seed: first = 1, minutes, seeds = minutes === undefined ? 1 : Infinity } = values
  const { rounds = DEFAULT_ROUNDS } = values
  const kinds = kindsNamed(values.kinds?.split(','))
  for (let seed = first; seed < first + seeds; seed++) yield { seed, kinds, rounds }
}

const keptDraws = (): Draw[] =>
  KEPT_SEEDS.map(({ seed, kinds, rounds }) => ({ seed, rounds, kinds: kindsNamed(kinds) }))

/** All of them for undefined. @throws {Error} naming the unknown */
function kindsNamed(names: readonly string[] | undefined): readonly FaultKind[] {
  if (names === undefined) return KINDS
  const unknown = names.filter((name) => KINDS.every((kind) => kind.name !== name))
  if (unknown.length === 0) return KINDS.filter(({ name }) => names.includes(name))
  const known = KINDS.map(({ name }) => name).join(', ')
  throw new Error(`There is no fault ${unknown.join(', ')}. There are: ${known}.`)
}
