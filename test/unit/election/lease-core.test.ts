import { describe, expect, test } from 'vitest'
import {
  initialLease,
  type LeaseEvent,
  type LeaseSettings,
  type LeaseState,
  next,
} from '#runtime/election/lease-core'

const settings: LeaseSettings = { ttlMs: 3000, token: 'a:1', floor: 4 }
type Bare = LeaseEvent extends infer E ? (E extends unknown ? Omit<E, 'random'> : never) : never

function run(...events: Bare[]) {
  let state: LeaseState = initialLease(0)
  let actions: readonly object[] = []
  for (const event of events) {
    const step = next(settings, state, { random: 0.5, ...event } as LeaseEvent)
    state = step.state
    actions = step.actions
  }
  return { state, actions }
}

const wake = (now: number): Bare => ({ type: 'wake', now })
const won: Bare[] = [wake(0), { type: 'acquired', epoch: 4, sentAt: 0, now: 20 }]

describe('a standby', () => {
  test('asks at once, with its floor', () => {
    expect(run(wake(0)).actions).toEqual([{ type: 'acquire', token: 'a:1', floor: 4 }])
  })
  test('asks once at a time', () => {
    expect(run(wake(0), wake(1)).actions).toEqual([])
  })
  test('reports a new holder once and asks again when its lease may have run out', () => {
    const held: Bare = { type: 'held', holder: 'b', remainingMs: 400, now: 10 }
    const { state, actions } = run(wake(0), held)
    expect(actions[0]).toEqual({ type: 'report', state: { kind: 'standby', leader: 'b' } })
    expect(state).toMatchObject({ wakeAt: 490, busy: false })
    expect(
      run(wake(0), held, wake(500), { ...held, now: 510 }).actions.map((a) => (a as { type: string }).type),
    ).toEqual(['wakeAt'])
  })
  test('asks again right after the answer when a release was announced meanwhile', () => {
    expect(
      run(wake(0), { type: 'hint', now: 5 }, { type: 'held', holder: 'b', remainingMs: 2000, now: 10 }).state,
    ).toMatchObject({
      wakeAt: 5,
    })
  })
  test('keeps asking while nobody answers', () => {
    expect(run(wake(0), { type: 'unreachable', now: 100 }).state).toMatchObject({
      kind: 'standby',
      busy: false,
      wakeAt: 850,
    })
  })
})

describe('a leader', () => {
  test('reports its epoch, and counts its lease from before the command was sent', () => {
    const { state, actions } = run(...won)
    expect(actions).toContainEqual({ type: 'report', state: { kind: 'leading', redisEpoch: 4 } })
    expect(state).toMatchObject({ kind: 'leading', epoch: 4, validUntil: 3000 - 60, wakeAt: 1000 })
  })
  test('renews after a third of the time to live', () => {
    expect(run(...won, wake(1000)).actions).toContainEqual({ type: 'renew', token: 'a:1', epoch: 4 })
  })
  test('goes on when nobody answers, and notices once that its lease ran out', () => {
    const silent: Bare[] = [...won, wake(1000), wake(2940)]
    expect(run(...silent).actions).toEqual([{ type: 'notice', notice: 'overdue' }])
    const later = run(...silent, { type: 'unreachable', now: 3000 }, wake(3500))
    expect(later.state.kind).toBe('leading')
    expect(later.actions.map((a) => (a as { type: string }).type)).toEqual(['renew'])
  })
  test('is confirmed when an answer comes after all', () => {
    const { state, actions } = run(...won, wake(1000), wake(2940), {
      type: 'renewed',
      sentAt: 1000,
      now: 3100,
    })
    expect(actions[0]).toEqual({ type: 'notice', notice: 'confirmed' })
    expect(state).toMatchObject({ overdue: false, validUntil: 1000 + 2940, wakeAt: 3100 })
  })
  test('keeps its epoch when Redis had lost the key', () => {
    const { state, actions } = run(...won, wake(1000), { type: 'retaken', sentAt: 1000, now: 1010 })
    expect(actions[0]).toEqual({ type: 'notice', notice: 'retaken' })
    expect(state).toMatchObject({ kind: 'leading', epoch: 4 })
  })
  test('ends for good with a foreign token', () => {
    const { state, actions } = run(...won, wake(1000), { type: 'foreign', holder: 'b', now: 1010 })
    expect(state.kind).toBe('ended')
    expect(actions).toEqual([{ type: 'report', state: { kind: 'lost', why: 'b holds the lease' } }])
    expect(next(settings, state, { type: 'acquired', epoch: 9, sentAt: 0, now: 0, random: 0 }).state).toBe(
      state,
    )
  })
})
