import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BarrierAligner, compareBarriers, type BarrierId } from '#runtime/task/barrier-aligner'

type Element = { readonly record: number } | { readonly barrier: BarrierId }

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
      const alignment = aligner.onBarrier(c, element.barrier)
      if (alignment.outcome === 'aligned') cut(alignment.barrier)
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

/** What a cut must contain: of each channel exactly the records before that barrier. */
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
 * some), between records.
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

  test('the newest barrier is aligned when every channel has carried it', () => {
    fc.assert(
      fc.property(inputs, schedule, ({ barriers, elements }, choices) => {
        const newest = barriers.at(-1)
        if (newest === undefined) return
        const has = (channel: readonly Element[]) =>
          channel.some((e) => 'barrier' in e && compareBarriers(e.barrier, newest) === 0)
        if (!elements.every(has)) return
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
})
