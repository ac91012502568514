/** Two slots of two processes, joined by what they post. */
import { expect, test } from 'vitest'
import type { SubtaskPlace, SubtaskRef } from '#runtime/contract/rpc'
import type { StreamElement } from '#runtime/element/stream-element'
import { BATCH_ROWS, CHANNEL_CREDITS } from '#runtime/task/channel'
import type { PlannedChannel } from '#runtime/task/channel-plan'
import { Exchange } from '#runtime/task/exchange'
import type { ExchangeParcel, FromSlot } from '#runtime/task/slot-messages'

const MIB = 1024 * 1024
const CHANNELS = 4

const place = (taskManager: string) => ({ taskManager, slot: 0 })

/** CHANNELS channels from subtasks on tm-1 to subtasks on tm-2. */
function pair() {
  const channels: PlannedChannel[] = Array.from({ length: CHANNELS }, (_, id) => ({
    id,
    edge: { id: 0, from: 'a', to: 'b', partition: 'hash', fromOperator: 0 },
    from: { vertex: 'a', subtask: id },
    emitter: 'a',
    to: { vertex: 'b', subtask: id },
  }))
  const placeOf = (ref: SubtaskRef): SubtaskPlace => ({
    ...ref,
    ...place(ref.vertex === 'a' ? 'tm-1' : 'tm-2'),
  })
  const posted: ExchangeParcel[] = []
  const exchange = (taskManager: string) =>
    new Exchange({
      channels,
      placeOf,
      self: place(taskManager),
      siblings: new Map(),
      post: (message: FromSlot) => {
        if (message.type === 'parcel') posted.push(message.parcel)
      },
    })
  const [sender, receiver] = [exchange('tm-1'), exchange('tm-2')]
  /** What a slot has posted since the last call. */
  const flush = (from: Exchange): ExchangeParcel[] => {
    from.flush()
    return posted.splice(0)
  }
  return { sender, receiver, flush }
}

const batchOf = (rows: unknown[]): StreamElement => ({
  kind: 'batch',
  rows,
  timestamps: undefined,
  count: rows.length,
})
const sizeOf = ({ frames }: ExchangeParcel) => frames.reduce((sum, f) => sum + f.byteLength, 0)

/** Takes everything that has arrived in a channel. */
function taken(exchange: Exchange, channel: number): number[] {
  const input = exchange.input(channel)
  const found: number[] = []
  for (let next = input.take(); next !== undefined; next = input.take())
    if (next.kind === 'batch') for (const row of next.rows) found.push((row as { n: number }).n)
  return found
}

test('posts parcels of a few MiB, whatever the records of one turn add up to', () => {
  const { sender, receiver, flush } = pair()
  const pad = 'x'.repeat(70_000)
  const rows = Array.from({ length: BATCH_ROWS }, (_, n) => ({ n, pad }))
  for (let id = 0; id < CHANNELS; id++) sender.output(id).send(batchOf(rows))
  const got: number[][] = Array.from({ length: CHANNELS }, () => [])
  for (let parcels = flush(sender); parcels.length > 0; parcels = flush(sender)) {
    expect(Math.max(...parcels.map(sizeOf))).toBeLessThan(5 * MIB)
    for (const parcel of parcels) receiver.receive(parcel)
    for (const [id, rowsOfChannel] of got.entries()) rowsOfChannel.push(...taken(receiver, id))
    for (const credits of flush(receiver)) sender.receive(credits)
  }
  expect(got).toEqual(got.map(() => rows.map(({ n }) => n)))
})

test('posts what little there is of a turn at once', () => {
  const { sender, receiver, flush } = pair()
  for (let i = 0; i < CHANNEL_CREDITS; i++)
    for (let id = 0; id < CHANNELS; id++) sender.output(id).send(batchOf([{ n: i }]))
  const parcels = flush(sender)
  expect(parcels.map(({ frames }) => frames.length)).toEqual([CHANNEL_CREDITS * CHANNELS])
  for (const parcel of parcels) receiver.receive(parcel)
  for (let id = 0; id < CHANNELS; id++) expect(taken(receiver, id)).toHaveLength(CHANNEL_CREDITS)
  expect(flush(receiver)).toEqual([
    { frames: [], credits: Array.from({ length: CHANNELS }, (_, id) => [id, CHANNEL_CREDITS]).flat() },
  ])
})
