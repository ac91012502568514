import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { TRANSITIONS } from '#runtime/job-manager/job-phase'
import { JobModel, type ModelOptions } from './job-model.ts'

const options: fc.Arbitrary<ModelOptions> = fc.record({
  parallelism: fc.integer({ min: 1, max: 2 }),
  past: fc.constantFrom('nothing', 'deployed', 'checkpointed', 'ending'),
  maxAttempts: fc.constantFrom(undefined, undefined, 2),
  restore: fc.constantFrom(undefined, undefined, { path: 'file:///s/1', allowNonRestoredState: false }),
})
/** Each decides which of the things that may happen then happens next. */
const choices = fc.array(fc.noBias(fc.integer({ min: 0, max: 9999 })), { maxLength: 100, size: 'max' })

interface Course {
  readonly model: JobModel
  readonly names: readonly string[]
}

/** What happens, until a violation or the end of the term. */
function run(given: ModelOptions, of: readonly number[]): Course {
  const model = new JobModel(given)
  const names: string[] = []
  for (const choice of of) {
    const actions = model.actions()
    let at = (choice / 10_000) * actions.reduce((sum, a) => sum + a.weight, 0)
    const action = actions.find((a) => (at -= a.weight) < 0)
    if (action === undefined) break
    names.push(action.name)
    action.run()
    if (model.violations.length > 0) break
  }
  return { model, names }
}

const explained = ({ model, names }: Course): string =>
  `${model.violations.join('; ')} after ${names.join(', ')}; in ${JSON.stringify(model.state.message)}`

describe('the life of a job', () => {
  test('over any course of events keeps J1 to J6, and every edge between phases occurs', () => {
    const edges = new Set<string>()
    fc.assert(
      fc.property(options, choices, (given, of) => {
        const course = run(given, of)
        expect(course.model.violations, explained(course)).toEqual([])
        for (const edge of course.model.edges) edges.add(edge)
      }),
      { numRuns: 10_000 },
    )
    const wanted = Object.entries(TRANSITIONS).flatMap(([from, to]) => to.map((t) => `${from} -> ${t}`))
    expect(wanted.filter((edge) => !edges.has(edge))).toEqual([])
  })

  test('has no phase without a way out: where all goes well again, the job runs or has ended', () => {
    fc.assert(
      fc.property(options, choices, (given, of) => {
        const { model, names } = run(given, of)
        const ends = new Set(['Running', 'Closed', 'Over'])
        for (let steps = 0; steps < 100 && !ends.has(model.phase); steps++) if (!model.benevolent()) break
        const where = `stuck in ${model.phase}: ${model.state.message}, after ${names.join(', ')}`
        expect(ends.has(model.phase), where).toBe(true)
        expect(model.violations).toEqual([])
      }),
      { numRuns: 5000 },
    )
  })

  test('answers whoever asked for a stop, when the term ends at the latest', () => {
    fc.assert(
      fc.property(options, choices, (given, of) => {
        const { model } = run(given, of)
        model.termOver()
        expect(model.unanswered).toEqual([])
      }),
      { numRuns: 3000 },
    )
  })
})
