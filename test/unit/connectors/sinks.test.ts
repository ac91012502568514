import { describe, expect, test, vi } from 'vitest'
import { blackhole, type BlackholeTotals } from '#runtime/connectors/blackhole/sink'
import { collect } from '#runtime/connectors/collect/sink'
import { print } from '#runtime/connectors/print/sink'
import { SinkOperator } from '#runtime/operators/sink'
import { OperatorHarness, type HarnessState } from '#runtime/testing/operator-harness'

describe('blackhole()', () => {
  const totalsOf = async (records: readonly unknown[]): Promise<BlackholeTotals> => {
    let last: BlackholeTotals = { count: 0, checksum: 0 }
    const harness = await OperatorHarness.open({
      create: () => new SinkOperator(blackhole({ checksum: true, onTotals: (t) => (last = t) })),
    })
    for (const record of records) harness.send(record)
    await harness.close()
    return last
  }

  test('counts, with a checksum that knows the records but not their order', async () => {
    const a = await totalsOf(['x', { n: 1 }, 7])
    expect(a.count).toBe(3)
    expect(await totalsOf([7, 'x', { n: 1 }])).toEqual(a)
    expect((await totalsOf([8, 'x', { n: 1 }])).checksum).not.toBe(a.checksum)
  })

  test('totals of a restored checkpoint are those of the subtask that counted them', async () => {
    const told: unknown[] = []
    const open = (subtask: number, states: HarnessState[] = []) =>
      OperatorHarness.open(
        {
          create: () => new SinkOperator(blackhole({ onTotals: (t, of) => void told.push([t.count, of]) })),
          subtask,
          parallelism: states.length === 0 ? 2 : 1,
        },
        states,
      )
    const [a, b] = [await open(0), await open(1)]
    b.send('x')
    await open(0, [await a.snapshot(1), await b.snapshot(1)])
    expect(told).toEqual([
      [0, 0],
      [1, 1],
    ])
  })
})

describe('collect()', () => {
  test('gives records when their checkpoint commits, and once', async () => {
    const into: number[] = []
    const sink = collect<number>(into)
    const open = (attempt: string, states: HarnessState[] = []) =>
      OperatorHarness.open({ create: () => new SinkOperator(sink), attempt }, states)
    const harness = await open('1.1')
    harness.send(1)
    const state = await harness.snapshot(1)
    harness.send(2)
    expect(into).toEqual([])
    await harness.complete(1)
    expect(into).toEqual([1])
    await open('1.2', [state])
    expect(into).toEqual([1])
  })
})

describe('print()', () => {
  test('writes strings as they are and the rest as JSON, a batch at once', async () => {
    const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true)
    try {
      const harness = await OperatorHarness.open({ create: () => new SinkOperator(print({ prefix: '> ' })) })
      harness.send('a')
      harness.send({ n: 1 })
      expect(write).not.toHaveBeenCalled()
      harness.endBatch()
      expect(write.mock.calls.map(([text]) => text)).toEqual(['> a\n> {"n":1}\n'])
    } finally {
      write.mockRestore()
    }
  })
})
