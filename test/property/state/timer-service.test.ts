import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { HeapBackend } from '#runtime/state/heap-backend'
import { KeyedContext } from '#runtime/state/keyed-context'
import { encodeStateFile, openStateFile } from '#runtime/state/snapshot-format'
import { TimerService } from '#runtime/state/timer-service'

const timer = {
  key: fc.constantFrom('a', 'b', 7, [1]),
  time: fc.integer({ min: 0, max: 30 }),
  name: fc.constantFrom('', 'x'),
}
const command = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('set' as const), ...timer }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('delete' as const), ...timer }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('advance' as const),
      by: fc.integer({ min: 0, max: 8 }),
      budget: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
)

const heapBackend = () =>
  new HeapBackend({ uid: 'op', keyGroups: { from: 0, to: 8 }, maxParallelism: 8, monotonic: () => 0 })

describe('TimerService', () => {
  test('fires each timer once, when its time comes, in order of time, across restarts', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 80 }), (commands) => {
        let backend = heapBackend()
        let context = new KeyedContext<unknown>()
        let timers = new TimerService(backend, context, () => 0)
        let watermark = 0
        const model = new Set<string>()
        for (const c of commands) {
          if (c.do === 'set') {
            context.setKey(c.key)
            timers.setEventTimer(c.time, c.name)
            model.add(JSON.stringify([c.time, c.key, c.name]))
          } else if (c.do === 'delete') {
            context.setKey(c.key)
            timers.deleteEventTimer(c.time, c.name)
            model.delete(JSON.stringify([c.time, c.key, c.name]))
          } else if (c.do === 'advance') {
            watermark += c.by
            const fired: [number, unknown, string][] = []
            while (
              !timers.advanceEventTime(
                watermark,
                ({ time, key, name }) => fired.push([time, key, name]),
                c.budget,
              )
            )
              continue
            expect(fired.map(([time]) => time)).toEqual(fired.map(([time]) => time).sort((a, b) => a - b))
            const due = [...model].filter((t) => (JSON.parse(t) as [number])[0] <= watermark)
            expect(fired.map((t) => JSON.stringify(t)).sort()).toEqual(due.sort())
            for (const t of due) model.delete(t)
          } else {
            const snapshot = backend.snapshot(1, 0)
            while (!snapshot.step(1)) continue
            backend = heapBackend()
            backend.restore(
              openStateFile(
                encodeStateFile({ mode: 'full', sections: snapshot.sections() }, { compress: false }),
              ),
              'op',
            )
            context = new KeyedContext<unknown>()
            timers = new TimerService(backend, context, () => 0)
          }
          expect(timers.size).toBe(model.size)
        }
      }),
    )
  })
})
