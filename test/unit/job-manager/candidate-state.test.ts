import { describe, expect, test } from 'vitest'
import { WeirError } from '#runtime/base/errors'
import { emptyLog, type LogState } from '#runtime/commit-log/log-state'
import {
  next,
  PREPARING,
  runOver,
  shownCandidate,
  type CandidateEvent,
  type CandidateState,
} from '#runtime/job-manager/candidate-state'

const TIMING = { followMs: 2000, retry: { initialMs: 200, maxMs: 5000, multiplier: 2, jitter: 0 } }
const after = (...events: CandidateEvent[]) =>
  events.reduce((step, event) => next(TIMING, step.state, event, 0.5), {
    state: PREPARING,
    effects: [],
  } as ReturnType<typeof next>)

const opening: CandidateEvent[] = [
  { type: 'Prepared', over: undefined },
  { type: 'Elected', campaign: 1, floor: 3 },
]
const leading: CandidateEvent[] = [...opening, { type: 'Opened', campaign: 1 }]
const fenced = new WeirError('FENCED', 'another epoch')

describe('a candidate', () => {
  test('opens an epoch at the floor of its election', () => {
    expect(after(...opening).effects).toContainEqual({ type: 'openEpoch', campaign: 1, floor: 3 })
  })

  test('whose epoch was overtaken gives the lease back and tries again', () => {
    const { state, effects } = after(...opening, {
      type: 'OpenFailed',
      campaign: 1,
      error: fenced,
      over: undefined,
    })
    expect(state.candidate.kind).toBe('Preparing')
    expect(effects).toEqual([{ type: 'endCampaign' }, { type: 'timer', delayMs: 200 }])
  })

  test('waits longer after each failure in a row, and begins anew once it has led', () => {
    let state: CandidateState = PREPARING
    const delays: (number | undefined)[] = []
    const apply = (event: CandidateEvent) => {
      const step = next(TIMING, state, event, 0.5)
      state = step.state
      for (const effect of step.effects) if (effect.type === 'timer') delays.push(effect.delayMs)
    }
    for (let i = 0; i < 3; i++)
      apply({ type: 'PrepareFailed', error: new WeirError('STO_UNAVAILABLE', 'away') })
    for (const event of leading) apply(event)
    apply({ type: 'LeaseLost', campaign: 1, why: 'jm-2 holds it' })
    expect(delays).toEqual([200, 400, 800, 2000, undefined, 200])
  })

  test('that loses the lease ends its term before it gives the lease back', () => {
    const { effects } = after(...leading, { type: 'LeaseLost', campaign: 1, why: 'jm-2 holds it' })
    expect(effects.map((e) => e.type)).toEqual(['endTerm', 'endCampaign', 'timer'])
  })

  test('that is told to stop ends its term and gives the lease back, and nothing more happens', () => {
    const { state, effects } = after(...leading, { type: 'Close' })
    expect(effects.map((e) => e.type)).toEqual(['timer', 'endTerm', 'endCampaign'])
    expect(next(TIMING, state, { type: 'TimeOut' }, 0.5)).toEqual({ state, effects: [] })
  })

  test.each([
    ['starting', after(), 'Created'],
    ['standing by', after(...opening.slice(0, 1)), 'Created'],
    [
      'that a person must help',
      after({ type: 'PrepareFailed', error: new WeirError('CFG_GRAPH', '') }),
      'Failed',
    ],
    ['whose run has ended', after(...leading, { type: 'RunClosed', state: 'Drained' }), 'Drained'],
  ])('%s is shown as such', (_, { state }, shown) => {
    expect(shownCandidate(state)).toBe(shown)
  })
})

describe('runOver()', () => {
  const log = (run: number, status?: 'Finished' | 'Canceled'): LogState => ({
    ...emptyLog,
    run,
    ...(status === undefined
      ? {}
      : { closed: { kind: 'CLOSE', run, status, committedUpTo: 0, seq: 9, at: 0 } }),
  })
  test.each([
    ['a log of the run before', log(1, 'Finished'), undefined],
    ['a log of this run', log(2), undefined],
    ['a run that was closed', log(2, 'Finished'), 'Finished'],
    ['a run that was cancelled', log(2, 'Canceled'), 'Suspended'],
    ['a newer run', log(3), 'Suspended'],
  ])('of %s', (_, state, over) => {
    expect(runOver(state, 2)?.state).toBe(over)
  })
})
