import { describe, expect, test } from 'vitest'
import type { Barrier } from '#runtime/contract/rpc'
import type { StreamElement } from '#runtime/element/stream-element'
import { InputChannel } from '#runtime/task/channel'
import { InputGate, type GateEvent } from '#runtime/task/input-gate'

const barrier = (id: number): Barrier => ({
  epoch: 1,
  id,
  base: 0,
  kind: 'checkpoint',
  directory: `chk/${id}-1`,
  stop: false,
  drain: false,
})
const row = (value: unknown): StreamElement => ({
  kind: 'batch',
  rows: [value],
  timestamps: undefined,
  count: 1,
})

function gateOf(n: number) {
  const channels = Array.from({ length: n }, () => new InputChannel(() => {}))
  return { channels, gate: new InputGate(channels, () => 0) }
}
function drain(gate: InputGate): GateEvent[] {
  const events: GateEvent[] = []
  for (let event = gate.take(); event !== undefined; event = gate.take()) events.push(event)
  return events
}
const rowsOf = (events: readonly GateEvent[]) =>
  events.flatMap((e) => (e.kind === 'batch' ? e.element.rows : []))

describe('InputGate', () => {
  test('takes nothing behind a barrier before it has come on every channel', () => {
    const { channels, gate } = gateOf(2)
    const [a, b] = channels as [InputChannel, InputChannel]
    a.put(row('a1'))
    a.put({ kind: 'barrier', barrier: barrier(1) })
    a.put(row('a2'))
    b.put(row('b1'))
    expect(rowsOf(drain(gate)).sort()).toEqual(['a1', 'b1'])
    b.put(row('b2'))
    b.put({ kind: 'barrier', barrier: barrier(1) })
    b.put(row('b3'))
    const events = drain(gate)
    const at = events.findIndex((e) => e.kind === 'aligned')
    expect(rowsOf(events.slice(0, at))).toEqual(['b2'])
    expect(rowsOf(events.slice(at)).sort()).toEqual(['a2', 'b3'])
  })

  test('reads on after an abort, and drops the late barrier', () => {
    const { channels, gate } = gateOf(2)
    const [a, b] = channels as [InputChannel, InputChannel]
    a.put({ kind: 'barrier', barrier: barrier(1) })
    a.put(row('a'))
    drain(gate)
    expect(gate.hasInput()).toBe(false)
    gate.onAbort({ epoch: 1, id: 1 })
    b.put({ kind: 'barrier', barrier: barrier(1) })
    b.put(row('b'))
    const events = drain(gate)
    expect(rowsOf(events).sort()).toEqual(['a', 'b'])
    expect(events.some((e) => e.kind === 'aligned')).toBe(false)
  })

  test('passes barriers after the end of data, on all channels', () => {
    const { channels, gate } = gateOf(2)
    for (const channel of channels) channel.put({ kind: 'end' })
    expect(drain(gate).map((e) => e.kind)).toContain('ended')
    for (const channel of channels) channel.put({ kind: 'barrier', barrier: barrier(1) })
    expect(drain(gate).map((e) => e.kind)).toContain('aligned')
  })

  test('reports the end once, when every channel has ended', () => {
    const { channels, gate } = gateOf(3)
    for (const channel of channels) channel.put({ kind: 'end' })
    for (const channel of channels) channel.put({ kind: 'end' })
    expect(drain(gate).filter((e) => e.kind === 'ended')).toHaveLength(1)
  })

  test('merges watermarks and does not wait for an idle channel', () => {
    const { channels, gate } = gateOf(2)
    const [a, b] = channels as [InputChannel, InputChannel]
    a.put({ kind: 'watermark', watermark: 5 })
    expect(drain(gate).some((e) => e.kind === 'watermark')).toBe(false)
    b.put({ kind: 'idle' })
    expect(drain(gate)).toContainEqual({ kind: 'watermark', watermark: 5 })
  })
})
