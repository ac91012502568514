import { describe, expect, test } from 'vitest'
import { KEPT_SEEDS } from '#sim/kept-seeds'
import { RARE_STATES, type RareState } from '#sim/rare-states'
import { simulate } from '#sim/simulate'

const SEEDS_PER_TEST = 50

const groups = Array.from({ length: Math.ceil(KEPT_SEEDS.length / SEEDS_PER_TEST) }, (_, i) => {
  const seeds = KEPT_SEEDS.slice(i * SEEDS_PER_TEST, (i + 1) * SEEDS_PER_TEST)
  return { first: seeds[0], last: seeds.at(-1), seeds }
})

describe('kept seeds', () => {
  const reached = new Map<RareState, number>()

  test.each(groups)('$first to $last keep every invariant', async ({ seeds }) => {
    const failures: string[] = []
    for (const seed of seeds) {
      const result = await simulate({ seed })
      for (const [state, times] of result.reached) reached.set(state, (reached.get(state) ?? 0) + times)
      failures.push(...result.violations.map((v) => `${v} (npm run sim -- --seed ${seed} --trace)`))
    }
    expect(failures).toEqual([])
  })

  test('reach every rare state', () => {
    const missed = (Object.keys(RARE_STATES) as RareState[]).filter((state) => !reached.get(state))
    expect(missed).toEqual([])
  })
})
