import { expect, test } from 'vitest'
import { runJob } from 'weir-stream/testing'
import pageViews from './page-views.ts'

const args = { input: 'in/', output: 'out/', late: 'late/' }
const MINUTE = 60_000
const view = (page: string, at: number) => ({ page, user: 'u', at })

test('a view counts in five windows, and a view that comes too late goes to its own sink', async () => {
  const tooLate = view('/', 12 * MINUTE)
  const { sinks, late } = await runJob(pageViews, {
    args,
    sources: { views: [view('/', 10 * MINUTE), view('/', 20 * MINUTE), tooLate] },
  })
  expect(sinks.counts).toHaveLength(10)
  expect(sinks.counts?.[0]).toEqual({ page: '/', from: '1970-01-01T00:06:00.000Z', count: 1 })
  expect(sinks.late).toEqual([tooLate])
  expect(late).toBe(0)
})
