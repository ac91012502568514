import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { counting, reducing } from '#runtime/state/aggregator'
import { WindowOperator } from '#runtime/operators/window'
import { sliding, tumbling, type SlidingWindows, type Window } from '#runtime/time/window'
import { runSteps, type Step } from '#test/kit/run-steps'

interface Hit {
  readonly user: string
  readonly at: number
}
interface Count {
  readonly key: string
  readonly window: Window
  readonly count: number
}

const create = (windows: SlidingWindows, allowedLatenessMs: number) => () =>
  new WindowOperator<string, Hit, number, number, Count>({
    keyOf: (hit) => hit.user,
    windows,
    allowedLatenessMs,
    aggregator: counting,
    emit: (key, window, count) => ({ key, window, count }),
    late: undefined,
  })

/** Windows by the book: every window of every record is kept apart, nothing is shared. */
function model(windows: SlidingWindows, allowedLatenessMs: number, steps: readonly Step<Hit>[]): Count[] {
  const counts = new Map<string, Count>()
  const output: Count[] = []
  let now = -Infinity
  for (const step of steps) {
    if ('watermark' in step) {
      const [before, after] = [now, Math.max(now, step.watermark)]
      now = after
      output.push(
        ...[...counts.values()].filter(({ window: { end } }) => end > before + 1 && end <= after + 1),
      )
      continue
    }
    const { user, at } = step.send
    // A late record still counts in a window that has not been cleaned up; with panes it counts in
    // all windows of its pane as long as one of them lives.
    const all = windows.windowsOf(at)
    if (all.every((w) => w.end - 1 + allowedLatenessMs <= now)) continue
    for (const window of all) {
      const id = `${user}/${window.start}`
      const count: Count = { key: user, window, count: (counts.get(id)?.count ?? 0) + 1 }
      counts.set(id, count)
      if (window.end - 1 <= now && window.end - 1 + allowedLatenessMs > now) output.push(count)
    }
  }
  return output
}

const windows = fc.oneof(
  fc.integer({ min: 1, max: 12 }).map((size) => tumbling(size)),
  fc
    .record({
      size: fc.integer({ min: 2, max: 12 }),
      slide: fc.integer({ min: 1, max: 12 }),
      offset: fc.integer({ min: 0, max: 5 }),
    })
    .filter((o) => o.slide <= o.size)
    .map((o) => sliding(o)),
)
const step: fc.Arbitrary<Step<Hit>> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .record({ user: fc.constantFrom('a', 'b', 'c'), at: fc.integer({ min: -20, max: 40 }) })
      .map((hit) => ({ send: hit, at: hit.at })),
  },
  { weight: 1, arbitrary: fc.integer({ min: -20, max: 50 }).map((watermark) => ({ watermark })) },
)
const steps = fc.array(step, { maxLength: 30 }).map((all): Step<Hit>[] => [...all, { watermark: Infinity }])
const lateness = fc.integer({ min: 0, max: 10 })
const sorted = (counts: readonly Count[]) =>
  counts.map((c) => `${c.key} [${c.window.start},${c.window.end}) ${c.count}`).sort()

describe('WindowOperator', () => {
  test('gives what windows without panes give', async () => {
    await fc.assert(
      fc.asyncProperty(windows, lateness, steps, async (w, late, all) => {
        const output = await runSteps<Hit, Count>(create(w, late), all)
        expect(sorted(output.map((o) => o.value))).toEqual(sorted(model(w, late, all)))
        for (const { value, timestamp } of output) expect(timestamp).toBe(value.window.end - 1)
      }),
      { numRuns: 300 },
    )
  })

  test('gives the same with a restore at any point, at any parallelism', async () => {
    await fc.assert(
      fc.asyncProperty(
        windows,
        lateness,
        steps,
        fc.record({ at: fc.nat(30), rescaleTo: fc.integer({ min: 1, max: 4 }) }),
        async (w, late, all, { at, rescaleTo }) => {
          const expected = await runSteps<Hit, Count>(create(w, late), all)
          const output = await runSteps<Hit, Count>(create(w, late), all, {
            after: Math.min(at, all.length),
            rescaleTo,
            keyOf: (hit) => hit.user,
          })
          expect(sorted(output.map((o) => o.value))).toEqual(sorted(expected.map((o) => o.value)))
        },
      ),
      { numRuns: 150 },
    )
  })

  test('merging panes leaves them whole, even where merge gives back its second argument', async () => {
    const windows = sliding({ size: 4, slide: 2 })
    const keep = () =>
      new WindowOperator<string, Hit, any, { n: number }, number>({
        keyOf: (hit) => hit.user,
        windows,
        allowedLatenessMs: 0,
        aggregator: reducing<any>((a, b) => {
          a.n += b.n ?? 1
          return a
        }),
        emit: (_, __, value) => value.n,
        late: undefined,
      })
    const hits = [0, 1, 2, 3, 4].map((at): Step<any> => ({ send: { user: 'a', at, n: 1 }, at }))
    const output = await runSteps(keep, [...hits, { watermark: Infinity }])
    expect(output.map((o) => o.value)).toEqual([2, 4, 3, 1])
  })
})
