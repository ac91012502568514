import { describe, expect, test } from 'vitest'
import {
  annotated,
  type Modifier,
  neverRan,
  scaled,
  withFacts,
  withHash,
  withoutWorkloads,
  withRun,
  withSpec,
} from './observed.ts'
import { kinds, plan, runOf, stepOf } from './plans.ts'

const suspended = withSpec({ state: 'Suspended' })

describe('another scale', () => {
  test('of a running job without parallelism is another run', () => {
    expect(plan(scaled(5)).policy).toBe('stopRun')
    const next = plan(scaled(5), withRun({ outcome: 'Superseded' }))
    expect(runOf(next)).toMatchObject({ taskManagers: 5, specHash: 'scaled-5' })
  })

  test.each(['Finished', 'Failed', 'Drained'] as const)(
    'begins nothing of a %s job, and says so',
    (outcome) => {
      const drained: Modifier = (o) =>
        outcome === 'Drained' ? { ...o, spec: { ...o.spec, state: 'Drained' } } : o
      const p = plan(scaled(5), drained, withRun({ outcome }), withoutWorkloads)
      expect([p.policy, kinds(p)]).toEqual(['releaseRun', ['writeStatus', 'event']])
      expect(stepOf(p, 'event')).toMatchObject({ type: 'Warning', reason: 'ScaleIgnored' })
      expect(runOf(p)?.ignoredScale).toEqual({ taskManagers: 5, generation: 2 })
      const noted = withRun({ outcome, ignoredScale: { taskManagers: 5, generation: 2 } })
      expect(plan(scaled(5), drained, noted, withoutWorkloads).steps).toEqual([])
    },
  )

  test('does not hide another change of the spec of an ended job', () => {
    const noted = (outcome: 'Finished' | 'Failed') =>
      withRun({ outcome, ignoredScale: { taskManagers: 5, generation: 2 } })
    const touched: Modifier = (o) => ({ ...o, generation: 3 })
    expect(plan(scaled(5), touched, noted('Failed'), withoutWorkloads).policy).toBe('beginRun')
    expect(plan(scaled(5), touched, noted('Finished'), withoutWorkloads).policy).toBe('releaseRun')
    expect(plan(scaled(5), withHash('h2'), noted('Finished'), withoutWorkloads).policy).toBe('beginRun')
  })

  test('of a suspended job acts when it is resumed', () => {
    expect(plan(scaled(5), withRun({ outcome: 'Suspended' }), withoutWorkloads).policy).toBe('beginRun')
  })
})

describe('a restart that is asked for', () => {
  const restart = annotated({ restartedAt: '2030-01-01T00:09:30Z' })
  const begun = withRun({ restartedAt: '2030-01-01T00:09:30Z' })

  test('stops the run with a checkpoint and begins another of the same spec', () => {
    expect([plan(restart).message, kinds(plan(restart))]).toEqual([
      'a restart was asked for',
      ['writeStatus', 'requestStop'],
    ])
    const next = plan(restart, withRun({ outcome: 'Superseded' }), withoutWorkloads)
    expect(runOf(next)).toMatchObject({ specHash: 'h1', restartedAt: '2030-01-01T00:09:30Z' })
  })

  test.each(['Failed', 'Finished'] as const)('begins a run of a %s job', (outcome) => {
    expect(plan(withRun({ outcome }), restart, withoutWorkloads).policy).toBe('beginRun')
  })

  test('is done once, and not undone when the annotation goes', () => {
    expect(plan(restart, begun).policy).toBe('keepRun')
    expect(plan(begun).policy).toBe('keepRun')
    const next = plan(begun, withHash('h2'), withRun({ restartedAt: 'then', outcome: 'Superseded' }))
    expect(runOf(next)?.restartedAt).toBe('then')
  })

  test('of a job that is to stay stopped is not done, and that is said once', () => {
    const p = plan(restart, suspended, withRun({ outcome: 'Suspended' }), withoutWorkloads)
    expect([p.policy, kinds(p)]).toEqual(['releaseRun', ['writeStatus', 'event']])
    expect(stepOf(p, 'event')).toMatchObject({ type: 'Warning', reason: 'RestartIgnored' })
    const told = withRun({ ...runOf(p) })
    expect(plan(restart, suspended, told, withoutWorkloads).steps).toEqual([])
  })
})

describe('a job that is to be left alone', () => {
  const alone = annotated({ reconcile: 'Disabled' })
  const stale: Modifier = (o) => ({
    ...o,
    taskManagers: [...o.taskManagers, { name: 'orders-tm-2', uid: 'r2', run: 2, replicas: 1 }],
  })

  test.each([
    ['runs', [stale]],
    ['has ended', [withRun({ outcome: 'Finished' })]],
    ['has another spec', [withHash('h2')]],
    ['is to be suspended', [suspended]],
    ['has never run', [neverRan]],
  ] as const)('and %s is not touched', (_what, modifiers) => {
    expect(plan(...modifiers, alone)).toMatchObject({ policy: 'paused', steps: [] })
  })

  test('that has ended is still written down as ended', () => {
    expect(runOf(plan(alone, withFacts({ state: 'Failed' })))?.outcome).toBe('Failed')
  })

  test('is taken up again by any other value', () => {
    expect(plan(withHash('h2'), annotated({ reconcile: 'disabled' })).policy).toBe('stopRun')
  })
})
