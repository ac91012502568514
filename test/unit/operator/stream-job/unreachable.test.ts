import { describe, expect, test } from 'vitest'
import { type Modifier, NOW, unreachable, withHash, withoutPods, withRun, withSpec } from './observed.ts'
import { kinds, plan, runOf, stepOf } from './plans.ts'

describe('stopping a run whose JobManager cannot be reached', () => {
  const changed = withHash('h2')
  const savepoint = withSpec({ upgrade: { mode: 'Savepoint' } })

  test('ends it for another without a checkpoint after 30 s, with a warning that says why', () => {
    expect(plan(changed, unreachable(29_000)).message).toContain('cannot reach JobManager orders-jm-a')
    const p = plan(changed, unreachable(30_000))
    expect(stepOf(p, 'event')).toMatchObject({ type: 'Warning', reason: 'StopSkipped' })
    expect(runOf(p)?.outcomeMessage).toBe(
      'Run 3 could not be asked to stop, ' +
        'as the operator cannot reach JobManager orders-jm-a (failed with 401), ' +
        'so it was ended without a new checkpoint. It continues from the last completed checkpoint.',
    )
  })

  test('waits for the savepoint that the spec asks for, and writes down since when', () => {
    const p = plan(changed, savepoint, unreachable(600_000))
    expect(kinds(p)).toEqual(['writeStatus', 'ensureRun'])
    expect(runOf(p)).toMatchObject({ stopWantedAt: '2030-01-01T00:10:00.000Z' })
    expect(p.message).toContain('waiting for a savepoint, for 5m (spec.upgrade.deadline) at most, as the')
    const wanted = (ms: number) => withRun({ stopWantedAt: new Date(NOW - ms).toISOString() })
    const waiting = plan(changed, savepoint, unreachable(600_000), wanted(299_000))
    expect([kinds(waiting), waiting.requeueAfterMs]).toEqual([['ensureRun'], 2000])
    const late = plan(changed, savepoint, unreachable(600_000), wanted(300_000))
    expect(stepOf(late, 'event')).toMatchObject({ type: 'Warning', reason: 'StopSkipped' })
    expect(stepOf(late, 'event')?.message).toContain('without the savepoint that upgrade.mode asks for')
  })

  test('does not wait for the savepoint of a JobManager that does not live', () => {
    const notReady: Modifier = (o) => ({
      ...o,
      jobManagerPods: o.jobManagerPods.map((p) => ({ ...p, readySince: undefined })),
    })
    expect(runOf(plan(changed, savepoint, unreachable(600_000), notReady))?.outcome).toBe('Superseded')
    expect(runOf(plan(changed, savepoint, withoutPods))?.outcome).toBe('Superseded')
  })

  test('forgets that it wanted to stop when the spec is as before, and when it can ask', () => {
    const wanted = withRun({ stopWantedAt: '2030-01-01T00:00:00.000Z' })
    expect(runOf(plan(savepoint, wanted))).not.toHaveProperty('stopWantedAt')
    const asking = plan(changed, savepoint, wanted)
    expect(kinds(asking)).toEqual(['writeStatus', 'requestStop'])
    expect(runOf(asking)).not.toHaveProperty('stopWantedAt')
  })
})
