import { parseArgs } from 'node:util'
import type { ClusterStage } from './cluster/cluster-stage.ts'
import { CLUSTER_KINDS } from './cluster/kinds.ts'
import type { FaultKind } from './fault.ts'
import { KINDS } from './kinds.ts'
import { KEPT_SEEDS } from './seeds.ts'
import type { Stage } from './stage.ts'

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
  --cluster      pods of a Kubernetes cluster instead of processes (docs/chaos.md)
  --verbose      tell the story while it happens
  --list         the faults there are
Exit code: 0 everything held, 1 not, 2 wrong options.
`

/** One seed and what is drawn with it. */
export interface Draw<S = Stage> {
  readonly seed: number
  readonly kinds: readonly FaultKind<S>[]
  readonly rounds: number
}

interface Draws<S> {
  /** In this order; may be endless when there is a limit of time. */
  readonly draws: Iterable<Draw<S>>
}

interface Manner {
  readonly isList: boolean
  readonly isVerbose: boolean
  /** No seed is begun that would probably end after it; Infinity: no limit. */
  readonly limitMs: number
}

export type Options = Manner &
  (({ readonly on: 'processes' } & Draws<Stage>) | ({ readonly on: 'cluster' } & Draws<ClusterStage>))

/** @throws {Error} what is wrong, and what there is instead */
export function parseOptions(args: readonly string[]): Options {
  const values = valuesOf(args)
  const { minutes } = values
  const manner = { isList: values.list, isVerbose: values.verbose }
  if (values.cluster)
    return {
      ...manner,
      on: 'cluster',
      draws: chosenDraws(values, kindsNamed(CLUSTER_KINDS, values.kinds)),
      limitMs: (minutes ?? Infinity) * 60_000,
    }
  const isKept = [values.seed, values.seeds, minutes, values.kinds].every((it) => it === undefined)
  const limitMinutes = minutes ?? (isKept ? KEPT_MINUTES : Infinity)
  return {
    ...manner,
    on: 'processes',
    draws: isKept ? keptDraws() : chosenDraws(values, kindsNamed(KINDS, values.kinds)),
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
      cluster: { type: 'boolean', default: false },
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
    kinds: values.kinds?.split(','),
    seed: whole('seed'),
    seeds: whole('seeds'),
    minutes: whole('minutes'),
    rounds: whole('rounds'),
  }
}

/** Without a limit of time one seed, unless there is a number. */
function* chosenDraws<S>(
  values: ReturnType<typeof valuesOf>,
  kinds: readonly FaultKind<S>[],
): Generator<Draw<S>> {
  const { seed: first = 1, minutes, seeds = minutes === undefined ? 1 : Infinity } = values
  const { rounds = DEFAULT_ROUNDS } = values
  for (let seed = first; seed < first + seeds; seed++) yield { seed, kinds, rounds }
}

const keptDraws = (): Draw[] =>
  KEPT_SEEDS.map(({ seed, kinds, rounds }) => ({ seed, rounds, kinds: kindsNamed(KINDS, kinds) }))

/** All of them for undefined. @throws {Error} naming the unknown */
function kindsNamed<S>(
  all: readonly FaultKind<S>[],
  names: readonly string[] | undefined,
): readonly FaultKind<S>[] {
  if (names === undefined) return all
  const unknown = names.filter((name) => all.every((kind) => kind.name !== name))
  if (unknown.length === 0) return all.filter(({ name }) => names.includes(name))
  const known = all.map(({ name }) => name).join(', ')
  throw new Error(`There is no fault ${unknown.join(', ')}. There are: ${known}.`)
}
