import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BarrierAligner, compareBarriers, type BarrierId } from '#runtime/task/barrier-aligner'

type Element = { readonly record: number } | { readonly barrier: BarrierId } | { readonly end: true }

/**
 * Runs channels through an aligner by a schedule of channel choices; gives the records read before
 * each alignment, per channel.
 */
function run(
  channels: readonly (readonly Element[])[],
  schedule: readonly number[],
): { barrier: BarrierId; read: number[][] }[] {
  const aligner = new BarrierAligner(channels.length)
  const at = channels.map(() => 0)
  const read: number[][] = channels.map(() => [])
  const cuts: { barrier: BarrierId; read: number[][] }[] = []
  const cut = (barrier: BarrierId) => cuts.push({ barrier, read: read.map((r) => [...r]) })
  const step = (c: number) => {
    const element = channels[c]![at[c]!]
    if (element === undefined || aligner.isBlocked(c)) return false
    at[c]!++
    if ('record' in element) read[c]!.push(element.record)
    else {
      const alignment = 'barrier' in element ? aligner.onBarrier(c, element.barrier) : aligner.onChannelEnd(c)
      if (alignment?.outcome === 'aligned') cut(alignment.barrier)
    }
    return true
  }
  for (const choice of schedule) step(choice % channels.length)
  let moved = true
  while (moved) {
    moved = false
    for (let c = 0; c < channels.length; c++) while (step(c)) moved = true
  }
  return cuts
}

/**
 * What a cut must contain: of each channel exactly the records before that barrier, or all of them
 * when the channel ended before.
 */
function prefix(elements: readonly Element[], barrier: BarrierId): number[] {
  const records: number[] = []
  for (const element of elements) {
    if ('barrier' in element && compareBarriers(element.barrier, barrier) === 0) return records
    if ('record' in element) records.push(element.record)
  }
  return records
}

const ascendingBarriers = fc
  .uniqueArray(fc.record({ epoch: fc.integer({ min: 1, max: 3 }), id: fc.integer({ min: 1, max: 5 }) }), {
    maxLength: 5,
    selector: (x) => `${x.epoch}/${x.id}`,
  })
  .map((list) => list.toSorted(compareBarriers))

/**
 * Channels of one task: each carries a part of the same ascending barriers (a channel may miss
 * some, or end), between records.
 */
const inputs = fc.integer({ min: 1, max: 4 }).chain((channels) =>
  ascendingBarriers.chain((barriers) =>
    fc
      .array(
        fc.record({
          gaps: fc.array(fc.integer({ min: 0, max: 3 }), {
            minLength: barriers.length + 1,
            maxLength: barriers.length + 1,
          }),
          carried: fc.array(fc.boolean(), { minLength: barriers.length, maxLength: barriers.length }),
          complete: fc.boolean(),
          endAfter: fc.option(fc.integer({ min: 0, max: barriers.length }), { nil: undefined }),
        }),
        { minLength: channels, maxLength: channels },
      )
      .map((specs) => ({
        barriers,
        elements: specs.map((spec, c) => {
          let n = c * 1000
          const list: Element[] = []
          for (let i = 0; i <= barriers.length; i++) {
            for (let g = 0; g < spec.gaps[i]!; g++) list.push({ record: n++ })
            if (spec.endAfter === i) return [...list, { end: true } as const]
            if (i < barriers.length && (spec.complete || spec.carried[i]!))
              list.push({ barrier: barriers[i]! })
          }
          return list
        }),
      })),
  ),
)
const schedule = fc.array(fc.nat(100), { maxLength: 60 })

function* permutations<T>(items: readonly T[]): Generator<T[]> {
  if (items.length === 0) yield []
  for (let i = 0; i < items.length; i++)
    for (const rest of permutations(items.toSpliced(i, 1))) yield [items[i]!, ...rest]
}

describe('BarrierAligner against the prefix model', () => {
  test('every cut holds, per channel, exactly the records before its barrier; cuts only grow', () => {
    fc.assert(
      fc.property(inputs, schedule, ({ elements }, choices) => {
        let last: BarrierId | undefined
        for (const { barrier, read } of run(elements, choices)) {
          if (last !== undefined) expect(compareBarriers(barrier, last)).toBeGreaterThan(0)
          last = barrier
          expect(read).toEqual(elements.map((channel) => prefix(channel, barrier)))
        }
      }),
      { numRuns: 500 },
    )
  })

  test('the newest barrier is aligned when every channel has carried it or has ended before it', () => {
    fc.assert(
      fc.property(inputs, schedule, ({ barriers, elements }, choices) => {
        const newest = barriers.at(-1)
        if (newest === undefined) return
        const has = (channel: readonly Element[]) =>
          channel.some((e) => 'barrier' in e && compareBarriers(e.barrier, newest) === 0)
        const carried = elements.filter(has).length
        if (carried === 0 || elements.some((channel) => !has(channel) && !channel.some((e) => 'end' in e)))
          return
        expect(run(elements, choices).map((cut) => cut.barrier)).toContainEqual(newest)
      }),
      { numRuns: 500 },
    )
  })

  test('every order in which four channels deliver one barrier gives the same single cut', () => {
    for (const order of permutations([0, 1, 2, 3])) {
      const elements: Element[][] = [0, 1, 2, 3].map((c) => [
        { record: c },
        { barrier: { epoch: 1, id: 1 } },
        { record: 10 + c },
      ])
      const cuts = run(
        elements,
        order.flatMap((c) => [c, c, c]),
      )
      expect(cuts).toEqual([{ barrier: { epoch: 1, id: 1 }, read: [[0], [1], [2], [3]] }])
    }
  })

  test('every interleaving of delivery and end over three channels aligns exactly once', () => {
    const actions = [0, 1, 2].flatMap((channel) => [
      { channel, what: 'barrier' as const },
      { channel, what: 'end' as const },
    ])
    for (const order of permutations(actions)) {
      const aligner = new BarrierAligner(3)
      let aligned = 0
      for (const { channel, what } of order) {
        const alignment =
          what === 'end' ? aligner.onChannelEnd(channel) : aligner.onBarrier(channel, { epoch: 1, id: 1 })
        if (alignment?.outcome === 'aligned') aligned++
      }
      // All three may have ended before the first barrier came: then there is nothing to align.
      const barrierBeforeItsEnd = [0, 1, 2].some(
        (c) =>
          order.findIndex((a) => a.channel === c && a.what === 'barrier') <
          order.findIndex((a) => a.channel === c && a.what === 'end'),
      )
      expect(aligned).toBe(barrierBeforeItsEnd ? 1 : 0)
    }
  })
})
