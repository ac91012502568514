import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decide, initialDecider, offer, onFinished, onStarted } from '#runtime/checkpoint/request-decider'

const step = fc.oneof(
  fc.record({ kind: fc.constant('advance' as const), ms: fc.integer({ min: 0, max: 700 }) }),
  fc.record({ kind: fc.constant('request' as const), last: fc.boolean() }),
  fc.record({ kind: fc.constant('finish' as const), completed: fc.boolean() }),
)

describe('the request decider', () => {
  test('keeps its invariants over any course of events', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 80 }),
        fc.integer({ min: 10, max: 500 }),
        fc.integer({ min: 0, max: 600 }),
        (steps, intervalMs, minPauseMs) => {
          const options = { intervalMs, minPauseMs, maxQueued: 3 }
          let now = 0
          let state = onStarted(initialDecider<{ triggerId: string; last: boolean }>(), now, options)
          let inFlight: { last: boolean } | undefined
          let lastCompletion = -Infinity
          let periodic = 0
          let ended = false
          let lastServed: 'periodic' | 'request' = 'periodic'
          const asked: string[] = []
          const served: string[] = []
          steps.forEach((s, i) => {
            if (s.kind === 'advance') now += s.ms
            else if (s.kind === 'request') {
              const offered = offer(state, { triggerId: String(i), last: s.last }, options)
              if (offered.outcome === 'queued') asked.push(String(i))
              state = offered.state
            } else if (inFlight !== undefined) {
              state = onFinished(state, now, s.completed)
              if (s.completed) lastCompletion = now
              ended ||= s.completed && inFlight.last
              inFlight = undefined
            }
            const decision = decide(state, now, options)
            if (decision.action === 'wait') {
              if (decision.at !== undefined) expect(decision.at).toBeGreaterThan(now)
              if (inFlight === undefined && !ended) expect(decision.at).toBeDefined()
              return
            }
            expect(inFlight).toBeUndefined()
            expect(ended).toBe(false)
            state = decision.state
            const before = lastServed
            lastServed = decision.request === undefined ? 'periodic' : 'request'
            if (decision.request === undefined) {
              periodic++
              const waits = asked.length > served.length
              if (waits) expect(before).toBe('request')
              else expect(now).toBeGreaterThanOrEqual(lastCompletion + minPauseMs)
              expect(periodic).toBeLessThanOrEqual(Math.floor(now / intervalMs))
            } else served.push(decision.request.triggerId)
            inFlight = { last: decision.request?.last ?? false }
          })
          expect(asked.slice(0, served.length)).toEqual(served)
        },
      ),
      { numRuns: 300 },
    )
  })
})
