import { describe, expect, test } from 'vitest'
import { BarrierAligner } from '#runtime/task/barrier-aligner'

const b = (epoch: number, id: number) => ({ epoch, id })

describe('BarrierAligner', () => {
  test('one channel aligns at once', () => {
    expect(new BarrierAligner(1).onBarrier(0, b(1, 1))).toEqual({
      outcome: 'aligned',
      barrier: b(1, 1),
      first: true,
      cancelled: undefined,
    })
  })

  test('blocks delivered channels until the last one delivers', () => {
    const aligner = new BarrierAligner(3)
    expect(aligner.onBarrier(1, b(1, 1))).toMatchObject({ outcome: 'wait', first: true })
    expect([0, 1, 2].map((c) => aligner.isBlocked(c))).toEqual([false, true, false])
    expect(aligner.onBarrier(0, b(1, 1))).toMatchObject({ outcome: 'wait', first: false })
    expect(aligner.onBarrier(2, b(1, 1))).toMatchObject({ outcome: 'aligned', first: false })
    expect([0, 1, 2].some((c) => aligner.isBlocked(c))).toBe(false)
  })

  test('a higher barrier cancels the pending alignment, the late barriers of which are dropped', () => {
    const aligner = new BarrierAligner(2)
    aligner.onBarrier(0, b(1, 5))
    expect(aligner.onBarrier(1, b(1, 6))).toMatchObject({
      outcome: 'wait',
      barrier: b(1, 6),
      cancelled: b(1, 5),
    })
    expect(aligner.isBlocked(0)).toBe(false)
    expect(aligner.onBarrier(0, b(1, 5))).toEqual({ outcome: 'dropped' })
    expect(aligner.onBarrier(0, b(1, 6))).toMatchObject({ outcome: 'aligned' })
  })

  test('equal ids of two epochs never align with each other', () => {
    const aligner = new BarrierAligner(2)
    aligner.onBarrier(0, b(1, 5))
    expect(aligner.onBarrier(1, b(2, 5))).toMatchObject({ outcome: 'wait', cancelled: b(1, 5) })
    expect(aligner.onBarrier(0, b(2, 5))).toMatchObject({ outcome: 'aligned', barrier: b(2, 5) })
  })

  test('the epoch outranks the id', () => {
    const aligner = new BarrierAligner(2)
    aligner.onBarrier(0, b(2, 3))
    expect(aligner.onBarrier(1, b(1, 9))).toEqual({ outcome: 'dropped' })
    expect(aligner.onBarrier(1, b(2, 3))).toMatchObject({ outcome: 'aligned' })
  })

  test('an abort opens the channels and poisons barriers that are still under way', () => {
    const aligner = new BarrierAligner(2)
    aligner.onBarrier(0, b(1, 4))
    expect(aligner.onAbort(b(1, 4))).toEqual(b(1, 4))
    expect(aligner.isBlocked(0)).toBe(false)
    expect(aligner.onBarrier(1, b(1, 4))).toEqual({ outcome: 'dropped' })
    expect(aligner.onAbort(b(1, 7))).toBeUndefined()
    expect(aligner.onBarrier(0, b(1, 7))).toEqual({ outcome: 'dropped' })
    expect(aligner.onBarrier(0, b(1, 8))).toMatchObject({ outcome: 'wait' })
  })

  test('an abort of an older barrier leaves a newer alignment alone', () => {
    const aligner = new BarrierAligner(2)
    aligner.onBarrier(0, b(2, 1))
    expect(aligner.onAbort(b(1, 9))).toBeUndefined()
    expect(aligner.isBlocked(0)).toBe(true)
  })
})
