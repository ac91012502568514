import fc from 'fast-check'
import { expect, test } from 'vitest'
import { subtaskKey, type ExecutionReport } from '#runtime/contract/rpc'
import { decideAdoption, type AdoptionInput } from '#runtime/job-manager/adoption'
import { planOf } from '#test/kit/job-world'

const PARALLELISM = 3
const plan = planOf(PARALLELISM, 'plan')

/** Mostly what fits, so that whole pictures are not rare. */
const report: fc.Arbitrary<ExecutionReport | undefined> = fc.option(
  fc.record({
    attempt: fc.constantFrom('1.2', '1.2', '1.2', '1.2', '1.1'),
    planHash: fc.constantFrom('plan', 'plan', 'plan', 'plan', 'other'),
    places: fc
      .uniqueArray(fc.nat({ max: PARALLELISM - 1 }), { minLength: 1, maxLength: PARALLELISM })
      .map((subtasks) => subtasks.map((subtask) => ({ vertex: 'v', subtask, taskManager: 'tm', slot: 0 }))),
    state: fc.constantFrom('Running', 'Running', 'Running', 'Stopped', 'Deploying', 'Failed'),
    highestCheckpointId: fc.nat({ max: 9 }),
  }),
  { freq: 6, nil: undefined },
)

const input: fc.Arbitrary<AdoptionInput> = fc
  .record({
    isEnding: fc.boolean(),
    deployed: fc.constantFrom('yes', 'yes', 'yes', 'of the run before', 'with another plan', 'no'),
    reports: fc.array(report, { maxLength: 4 }),
  })
  .map(({ isEnding, deployed, reports }) => ({
    plan,
    run: 1,
    deploy:
      deployed === 'no'
        ? undefined
        : {
            kind: 'DEPLOY',
            attempt: '1.2',
            run: deployed === 'of the run before' ? 0 : 1,
            planHash: deployed === 'with another plan' ? 'other' : 'plan',
            restoreFrom: { kind: 'empty' },
            why: '',
            seq: 2,
            at: 0,
          },
    isEnding,
    expectedSlots: PARALLELISM,
    answers: reports.map((r) => ({ slots: 1, report: r })),
  }))

/** The rule in its own words. */
function expected({ deploy, isEnding, answers }: AdoptionInput): 'adopt' | 'wait' | 'deploy' {
  if (deploy?.run !== 1 || deploy.planHash !== 'plan') return 'deploy'
  const own = answers.flatMap(({ report: r }) => (r?.attempt === '1.2' && r.planHash === 'plan' ? [r] : []))
  const good: readonly string[] = isEnding ? ['Running', 'Stopped'] : ['Running']
  const runs = own.flatMap((r) => r.places.map(subtaskKey)).toSorted()
  const hasTwice = runs.some((key, i) => key === runs[i + 1])
  if (own.some((r) => !good.includes(r.state)) || hasTwice) return 'deploy'
  if (runs.length === PARALLELISM) return 'adopt'
  return answers.length < PARALLELISM ? 'wait' : 'deploy'
}

test('a new leader adopts if and only if every planned subtask runs exactly once, as deployed last', () => {
  const seen = new Set<string>()
  fc.assert(
    fc.property(input, (given) => {
      const decision = decideAdoption(given)
      seen.add(decision.kind)
      expect(decision.kind).toBe(expected(given))
      if (decision.kind !== 'adopt') return
      expect(decision.attempt).toBe('1.2')
      expect(decision.places.map((p) => p.subtask).toSorted()).toEqual([0, 1, 2])
      const ids = given.answers.map(({ report: r }) => (r?.attempt === '1.2' ? r.highestCheckpointId : 0))
      expect(decision.highestCheckpointId).toBeGreaterThanOrEqual(0)
      expect(ids).toContain(decision.highestCheckpointId)
    }),
    { numRuns: 5000 },
  )
  expect([...seen].toSorted()).toEqual(['adopt', 'deploy', 'wait'])
})
