import { describe, expect, test } from 'vitest'
import { KINDS } from '#chaos/kinds'
import { type Plan, planOf } from '#chaos/plan'
import { KEPT_SEEDS } from '#chaos/seeds'

const told = ({ setting, rounds }: Plan) => ({
  setting,
  rounds: rounds.map(({ faults, ...round }) => ({
    ...round,
    faults: faults.map(({ kind, fault, afterMs }) => [kind.name, fault.text, fault.forMs, afterMs]),
  })),
})
const plan = (seed: number, rounds = 20) => planOf({ seed, kinds: KINDS, rounds })
const plans = Array.from({ length: 50 }, (_, seed) => plan(seed + 1))

describe('planOf()', () => {
  test('gives the same plan for the same seed, and another for another', () => {
    expect(told(plan(7))).toEqual(told(plan(7)))
    expect(told(plan(7))).not.toEqual(told(plan(8)))
  })

  test('begins alike whatever the number of rounds', () => {
    expect(told(plan(7)).rounds.slice(0, 3)).toEqual(told(plan(7, 3)).rounds)
  })

  test('draws every kind of fault', () => {
    const drawn = plans.flatMap(({ rounds }) => rounds.flatMap(({ faults }) => faults))
    expect(new Set(drawn.map(({ kind }) => kind.name))).toEqual(new Set(KINDS.map(({ name }) => name)))
  })

  test('draws only from the kinds that are asked for', () => {
    const kinds = KINDS.filter(({ name }) => name === 'kill' || name === 'fork')
    const { rounds } = planOf({ seed: 3, kinds, rounds: 30 })
    expect(new Set(rounds.flatMap(({ faults }) => faults.map(({ kind }) => kind)))).toEqual(new Set(kinds))
  })

  test('no round is empty, and none has two faults that must be alone', () => {
    for (const { faults } of plans.flatMap(({ rounds }) => rounds)) {
      expect(faults.length).toBeGreaterThan(0)
      const words = faults.flatMap(({ kind }) => kind.alone ?? [])
      expect(words).toEqual([...new Set(words)])
    }
  })

  test('every job has slots enough', () => {
    for (const { setting } of plans)
      expect(setting.parallelism).toBeLessThanOrEqual(setting.taskManagers * setting.slots)
  })
})

describe('KEPT_SEEDS', () => {
  test('are of kinds that there are', () => {
    const known = KINDS.map(({ name }) => name)
    expect(KEPT_SEEDS.flatMap(({ kinds = [] }) => kinds).filter((name) => !known.includes(name))).toEqual([])
  })
})
