import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  decide,
  type DeciderOptions,
  type DeciderState,
  type Decision,
  initialDecider,
  offer,
  onFinished,
  onStarted,
  type QueuedRequest,
} from '#runtime/checkpoint/request-decider'

const step = fc.oneof(
  fc.record({ kind: fc.constant('advance' as const), ms: fc.integer({ min: 0, max: 700 }) }),
  fc.record({ kind: fc.constant('request' as const), last: fc.boolean() }),
  fc.record({ kind: fc.constant('finish' as const), completed: fc.boolean() }),
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

/** A decider that is asked after each step, and what must hold of its answers. */
class Course {
  readonly asked: string[] = []
  readonly served: string[] = []
  readonly #options: DeciderOptions
  #now = 0
  #state: DeciderState
  #inFlight: 'none' | 'some' | 'last' = 'none'
  #lastCompletion = -Infinity
  #periodic = 0
  #ended = false
  #lastServed: 'periodic' | 'request' = 'periodic'

  constructor(options: DeciderOptions) {
    this.#options = options
    this.#state = onStarted(initialDecider(), 0, options)
  }

  apply(it: Step): void {
    if (it.kind === 'advance') this.#now += it.ms
    else if (it.kind === 'request') this.#ask(it.last)
    else if (this.#inFlight !== 'none') this.#finish(it.completed)
    const decision = decide(this.#state, this.#now, this.#options)
    if (decision.action === 'trigger') this.#trigger(decision)
    else this.#wait(decision.at)
  }

  #ask(last: boolean): void {
    const triggerId = String(this.asked.length)
    const offered = offer(this.#state, { triggerId, last }, this.#options)
    if (offered.outcome === 'queued') this.asked.push(triggerId)
    this.#state = offered.state
  }

  #finish(completed: boolean): void {
    this.#state = onFinished(this.#state, this.#now, completed)
    if (completed) this.#lastCompletion = this.#now
    this.#ended ||= completed && this.#inFlight === 'last'
    this.#inFlight = 'none'
  }

  #wait(at: number | undefined): void {
    if (at !== undefined) expect(at).toBeGreaterThan(this.#now)
    if (this.#inFlight === 'none' && !this.#ended) expect(at).toBeDefined()
  }

  #trigger({ request, state }: Extract<Decision<QueuedRequest>, { action: 'trigger' }>): void {
    expect(this.#inFlight).toBe('none')
    expect(this.#ended).toBe(false)
    this.#state = state
    if (request === undefined) this.#triggerPeriodic()
    else this.served.push(request.triggerId)
    this.#lastServed = request === undefined ? 'periodic' : 'request'
    this.#inFlight = request?.last === true ? 'last' : 'some'
  }

  #triggerPeriodic(): void {
    const { intervalMs, minPauseMs } = this.#options
    this.#periodic++
    if (this.asked.length > this.served.length) expect(this.#lastServed).toBe('request')
    else expect(this.#now).toBeGreaterThanOrEqual(this.#lastCompletion + minPauseMs)
    expect(this.#periodic).toBeLessThanOrEqual(Math.floor(this.#now / intervalMs))
  }
}

describe('the request decider', () => {
  test('keeps its invariants over any course of events', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 80 }),
        fc.integer({ min: 10, max: 500 }),
        fc.integer({ min: 0, max: 600 }),
        (steps, intervalMs, minPauseMs) => {
          const course = new Course({ intervalMs, minPauseMs, maxQueued: 3 })
          for (const it of steps) course.apply(it)
          expect(course.asked.slice(0, course.served.length)).toEqual(course.served)
        },
      ),
      { numRuns: 300 },
    )
  })
})
