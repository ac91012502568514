import { describe, expect, test } from 'vitest'
import {
  decide,
  initialDecider,
  offer,
  onFinished,
  onStarted,
  onStopped,
  type DeciderState,
} from '#runtime/checkpoint/request-decider'

const options = { intervalMs: 1000, minPauseMs: 200, maxQueued: 2 }
const started = (now = 0) => onStarted(initialDecider(), now, options)
const request = (triggerId: string, last = false) => ({ triggerId, last })

function triggered(state: DeciderState, now: number): DeciderState {
  const decision = decide(state, now, options)
  if (decision.action !== 'trigger')
    throw new Error(`expected a trigger at ${now}, got a wait until ${decision.at}`)
  return decision.state
}

describe('decide()', () => {
  test('waits for the first crossing one interval after the start', () => {
    expect(decide(started(500), 500, options)).toEqual({ action: 'wait', at: 1500 })
    expect(decide(started(500), 1500, options)).toMatchObject({ action: 'trigger', request: undefined })
  })

  test('does nothing before the start and after the stop', () => {
    expect(decide(initialDecider(), 9999, options)).toEqual({ action: 'wait', at: undefined })
    const { state, dropped } = onStopped(offer(started(), request('a'), options).state)
    expect(dropped).toEqual([request('a')])
    expect(decide(state, 9999, options)).toEqual({ action: 'wait', at: undefined })
  })

  test('N intervals served a little late give N triggers without drift', () => {
    let state = started()
    const times: number[] = []
    for (let now = 7; now <= 10_007; now += 10) {
      const decision = decide(state, now, options)
      if (decision.action === 'trigger') {
        times.push(now)
        state = onFinished(decision.state, now, true)
      }
    }
    expect(times).toEqual([1007, 2007, 3007, 4007, 5007, 6007, 7007, 8007, 9007, 10_007])
  })

  test('a crossing during a checkpoint is served once, after the minimum pause; no others are', () => {
    let state = triggered(started(), 1000)
    expect(decide(state, 4500, options)).toEqual({ action: 'wait', at: undefined })
    state = onFinished(state, 4600, true)
    expect(decide(state, 4600, options)).toEqual({ action: 'wait', at: 4800 })
    state = onFinished(triggered(state, 4800), 4810, true)
    expect(decide(state, 4810, options)).toEqual({ action: 'wait', at: 5800 })
  })

  test('the minimum pause counts from a completion, not from a failure', () => {
    const failed = onFinished(triggered(started(), 1000), 2500, false)
    expect(decide(failed, 2500, options)).toMatchObject({ action: 'trigger' })
  })

  test('manual requests go ahead of the periodic one, in order, without the minimum pause', () => {
    let state = onFinished(triggered(started(), 1000), 1900, true)
    state = offer(offer(state, request('a'), options).state, request('b'), options).state
    const first = decide(state, 1900, options)
    expect(first).toMatchObject({ action: 'trigger', request: request('a') })
    state = onFinished(triggered(state, 1900), 1901, true)
    expect(decide(state, 1901, options)).toMatchObject({ action: 'trigger', request: request('b') })
    state = onFinished(triggered(state, 1901), 1902, true)
    expect(decide(state, 1902, options)).toEqual({ action: 'wait', at: 2102 })
  })

  test('requests without end do not keep the periodic one away, nor does the periodic one a stop', () => {
    let state = offer(started(), request('0'), options).state
    const triggers: (string | undefined)[] = []
    for (let now = 500; now <= 3500; now += 500) {
      const decision = decide(state, now, options)
      if (decision.action !== 'trigger') throw new Error(`nothing at ${now}`)
      triggers.push(decision.request?.triggerId)
      state = offer(onFinished(decision.state, now + 499, true), request(String(now)), options).state
    }
    expect(triggers).toEqual(['0', undefined, '500', undefined, '1000', undefined, '1500'])
    expect(decide(state, 4000, options)).toMatchObject({ action: 'trigger', request: undefined })
    const stopping = { ...state, queue: [request('stop', true)] }
    expect(decide(stopping, 4000, options)).toMatchObject({ request: { triggerId: 'stop' } })
  })

  test('a full queue refuses', () => {
    const full = offer(offer(started(), request('a'), options).state, request('b'), options).state
    expect(offer(full, request('c'), options)).toEqual({ outcome: 'full', state: full })
  })

  test('nothing follows a completed stop; a failed stop lets the job go on', () => {
    const stopping = triggered(offer(started(), request('stop', true), options).state, 10)
    expect(decide(onFinished(stopping, 20, true), 5000, options)).toEqual({ action: 'wait', at: undefined })
    expect(decide(onFinished(stopping, 20, false), 5000, options)).toMatchObject({
      action: 'trigger',
      request: undefined,
    })
  })
})
