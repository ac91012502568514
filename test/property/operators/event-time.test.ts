import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { keyGroupOf, subtaskOfKeyGroup } from '#runtime/element/key-group'
import { MAX_WATERMARK, MIN_WATERMARK } from '#runtime/element/receiver'
import { type } from '#runtime/graph/type-witness'
import { ProcessOperator } from '#runtime/operators/process'
import type { StreamOperator } from '#runtime/operators/stream-operator'
import { WindowOperator } from '#runtime/operators/window'
import { counting } from '#runtime/state/aggregator'
import { OperatorHarness, type HarnessState } from '#runtime/testing/operator-harness'
import { WatermarkMerger } from '#runtime/time/watermark-merger'
import { sliding, tumbling, type SlidingWindows } from '#runtime/time/window'

/**
 * Event time of keyed operators against models that keep a watermark for each key: whatever the
 * order between the inputs of each subtask, wherever the barrier is, at whatever parallelism the
 * state is restored, step by step the same comes out.
 */
const MAX_PARALLELISM = 128
const KEYS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']

interface Hit {
  readonly id: number
  readonly key: string
  readonly at: number
}
type Element = { readonly hit: Hit } | { readonly watermark: number } | { readonly idle: true }

/** What an operator has to give for an element, in any order. */
interface Model {
  onHit(hit: Hit): string[]
  onWatermark(watermark: number, keys: readonly string[]): string[]
}

class WindowModel implements Model {
  readonly #windows: SlidingWindows
  readonly #allowedLatenessMs: number
  readonly #now = new Map(KEYS.map((key) => [key, MIN_WATERMARK]))
  readonly #counts = new Map<string, Map<number, number>>(KEYS.map((key) => [key, new Map()]))
  late = 0

  constructor(windows: SlidingWindows, allowedLatenessMs: number) {
    this.#windows = windows
    this.#allowedLatenessMs = allowedLatenessMs
  }

  onHit({ key, at }: Hit): string[] {
    const now = this.#now.get(key) as number
    const all = this.#windows.windowsOf(at).map((w) => w.end)
    if (all.every((end) => end - 1 + this.#allowedLatenessMs <= now)) {
      this.late++
      return []
    }
    const counts = this.#counts.get(key) as Map<number, number>
    for (const end of all) counts.set(end, (counts.get(end) ?? 0) + 1)
    return all
      .filter((end) => end - 1 <= now && end - 1 + this.#allowedLatenessMs > now)
      .map((end) => `${key} ${end} ${counts.get(end)}`)
  }

  onWatermark(watermark: number, keys: readonly string[]): string[] {
    return keys.flatMap((key) => {
      const before = this.#now.get(key) as number
      const now = Math.max(before, watermark)
      this.#now.set(key, now)
      return [...(this.#counts.get(key) as Map<number, number>)]
        .filter(([end]) => end - 1 > before && end - 1 <= now)
        .map(([end, count]) => `${key} ${end} ${count}`)
    })
  }
}

/** Each hit sets a timer and says which time it is for its key. */
class TimerModel implements Model {
  readonly #now = new Map(KEYS.map((key) => [key, MIN_WATERMARK]))
  #timers: Hit[] = []

  onHit(hit: Hit): string[] {
    this.#timers.push(hit)
    return [`${hit.id} at ${this.#now.get(hit.key)}`, ...this.#fire()]
  }

  onWatermark(watermark: number, keys: readonly string[]): string[] {
    for (const key of keys) this.#now.set(key, Math.max(this.#now.get(key) as number, watermark))
    return this.#fire()
  }

  #fire(): string[] {
    const isDue = ({ key, at }: Hit): boolean => at <= (this.#now.get(key) as number)
    const due = this.#timers.filter(isDue)
    this.#timers = this.#timers.filter((hit) => !isDue(hit))
    return due.map(({ id, key }) => `${id} fires for ${key}`)
  }
}

interface Case {
  /** By input channel: before the barrier and after it. */
  readonly channels: readonly (readonly [before: readonly Element[], after: readonly Element[]])[]
  readonly parallelism: readonly [before: number, after: number]
  /** The order between channels, for each subtask another one. */
  readonly order: readonly number[]
}

const ownerOf = (key: string, parallelism: number): number =>
  subtaskOfKeyGroup(keyGroupOf(key, MAX_PARALLELISM), parallelism, MAX_PARALLELISM)

/** Where an element comes in. */
interface Input {
  readonly harness: OperatorHarness<Hit, string>
  readonly subtask: number
  readonly merger: WatermarkMerger
  readonly channel: number
}

/** One deployment: feeds every subtask, and compares what each element brings. */
class Deployment {
  readonly #harnesses: readonly OperatorHarness<Hit, string>[]
  readonly #model: Model

  constructor(harnesses: readonly OperatorHarness<Hit, string>[], model: Model) {
    this.#harnesses = harnesses
    this.#model = model
  }

  feed(channels: readonly (readonly Element[])[], order: readonly number[]): void {
    for (const [subtask, harness] of this.#harnesses.entries()) {
      const merger = new WatermarkMerger(channels.length)
      const rest = channels.map((elements) => [...elements])
      for (let turn = subtask * 7; rest.some((elements) => elements.length > 0); turn++) {
        const open = [...rest.keys()].filter((c) => (rest[c] as Element[]).length > 0)
        const channel = open[(order[turn % order.length] as number) % open.length] as number
        const element = rest[channel]?.shift() as Element
        const expected = this.#apply({ harness, subtask, merger, channel }, element)
        const found = harness.output.splice(0).map((o) => o.value)
        expect(found.sort()).toEqual(expected.sort())
      }
    }
  }

  #apply({ harness, subtask, merger, channel }: Input, element: Element): string[] {
    const parallelism = this.#harnesses.length
    if ('hit' in element) {
      if (ownerOf(element.hit.key, parallelism) !== subtask) return []
      merger.onActive(channel)
      harness.send(element.hit, element.hit.at)
      harness.endBatch()
      return this.#model.onHit(element.hit)
    }
    const watermark =
      'idle' in element ? merger.onIdle(channel) : merger.onWatermark(channel, element.watermark)
    if (watermark === undefined) return []
    harness.watermark(watermark)
    const own = KEYS.filter((key) => ownerOf(key, parallelism) === subtask)
    return this.#model.onWatermark(watermark, own)
  }
}

async function run(
  create: () => StreamOperator<Hit, string>,
  model: Model,
  { channels, parallelism, order }: Case,
): Promise<OperatorHarness<Hit, string>[]> {
  const open = (count: number, attempt: string, states: readonly HarnessState[]) =>
    Promise.all(
      Array.from({ length: count }, (_, subtask) =>
        OperatorHarness.open<Hit, string>({ create, subtask, parallelism: count, attempt }, states),
      ),
    )
  const first = await open(parallelism[0], '1.1', [])
  new Deployment(first, model).feed(
    channels.map(([before]) => before),
    order,
  )
  const states = await Promise.all(first.map((harness) => harness.snapshot(1)))
  const second = await open(parallelism[1], '1.2', states)
  const end: Element = { watermark: MAX_WATERMARK }
  new Deployment(second, model).feed(
    channels.map(([, after]) => [...after, end]),
    order,
  )
  return [...first, ...second]
}

let ids = 0
const element: fc.Arbitrary<Element> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .record({ key: fc.constantFrom(...KEYS), at: fc.integer({ min: 0, max: 60 }) })
      .map((hit) => ({ hit: { ...hit, id: ids++ } })),
  },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 60 }).map((watermark) => ({ watermark })) },
  { weight: 1, arbitrary: fc.constant({ idle: true as const }) },
)
const elements = fc.array(element, { maxLength: 12 })
const parallelism = fc.integer({ min: 1, max: 4 })
const anyCase: fc.Arbitrary<Case> = fc.record({
  channels: fc.array(fc.tuple(elements, elements), { minLength: 1, maxLength: 3 }),
  parallelism: fc.tuple(parallelism, parallelism),
  order: fc.array(fc.nat(11), { minLength: 1, maxLength: 40 }),
})
const windows = fc.oneof(
  fc.integer({ min: 1, max: 20 }).map((size) => tumbling(size)),
  fc.record({ size: fc.integer({ min: 2, max: 20 }), slide: fc.integer({ min: 1, max: 2 }) }).map(sliding),
)

const windowOperator = (of: SlidingWindows, allowedLatenessMs: number) => () =>
  new WindowOperator<string, Hit, number, number, string>({
    keyOf: (hit) => hit.key,
    windows: of,
    allowedLatenessMs,
    aggregator: counting,
    emit: (key, { end }, count) => `${key} ${end} ${count}`,
    late: undefined,
  })

const timerOperator = () =>
  new ProcessOperator<string, Hit, string, {}>((hit) => hit.key, {
    emits: type<string>(),
    onRecord({ id, at }, { timers, out }) {
      out(`${id} at ${timers.watermark}`)
      timers.setEventTimer(at, String(id))
    },
    onTimer: ({ name }, { key, out }) => out(`${name} fires for ${key}`),
  })

describe('event time of keyed operators, over any restore', () => {
  test('windows fire as if each key had a watermark of its own', async () => {
    await fc.assert(
      fc.asyncProperty(anyCase, windows, fc.integer({ min: 0, max: 10 }), async (given, of, lateness) => {
        const model = new WindowModel(of, lateness)
        const harnesses = await run(windowOperator(of, lateness), model, given)
        expect(harnesses.reduce((sum, { counters }) => sum + counters.lateDropped, 0)).toBe(model.late)
      }),
      { numRuns: 300 },
    )
  })

  test('every window fires once for a key, with all records that were not late', async () => {
    await fc.assert(
      fc.asyncProperty(anyCase, fc.integer({ min: 1, max: 20 }), async (given, size) => {
        const model = new WindowModel(tumbling(size), 0)
        const fired: string[] = []
        const recorded: Model = {
          onHit: (hit) => model.onHit(hit),
          onWatermark(watermark, keys) {
            const now = model.onWatermark(watermark, keys)
            fired.push(...now)
            return now
          },
        }
        await run(windowOperator(tumbling(size), 0), recorded, given)
        const windowsFired = fired.map((text) => text.split(' ').slice(0, 2).join(' '))
        expect(new Set(windowsFired).size).toBe(windowsFired.length)
        const hits = given.channels.flat(2).filter((e) => 'hit' in e).length
        const counted = fired.reduce((sum, text) => sum + Number(text.split(' ')[2]), 0)
        expect(counted + model.late).toBe(hits)
      }),
      { numRuns: 100 },
    )
  })

  test('timers fire as if each key had a watermark of its own, which its code sees', async () => {
    await fc.assert(
      fc.asyncProperty(anyCase, async (given) => {
        await run(timerOperator, new TimerModel(), given)
      }),
      { numRuns: 300 },
    )
  })
})
