import { describe, expect, test, vi } from 'vitest'
import { blackhole, type BlackholeTotals } from '#runtime/connectors/blackhole/sink'
import { collect } from '#runtime/connectors/collect/sink'
import { print } from '#runtime/connectors/print/sink'
import { SinkOperator } from '#runtime/operators/sink'
import { OperatorHarness } from '#runtime/testing/operator-harness'

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
})

describe('collect()', () => {
  test('gives records when their checkpoint commits, and once', async () => {
    const into: number[] = []
    const harness = await OperatorHarness.open({ create: () => new SinkOperator(collect<number>(into)) })
    harness.send(1)
    const state = await harness.snapshot(1)
    harness.send(2)
    expect(into).toEqual([])
    await harness.complete(1)
    expect(into).toEqual([1])
    await OperatorHarness.open({ create: () => new SinkOperator(collect<number>(into)), attempt: '1.2' }, [
      state,
    ])
    expect(into).toEqual([1, 1])
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
