/**
 * What every transport promises (N1 to N4), the one in memory included that other tests rest on.
 */
import { connect } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { tcpTransport } from '#runtime/net/tcp-transport'
import type { Connection, ConnectionHandlers, Listener, Transport } from '#runtime/net/transport'
import { MemoryTransport } from '#test/kit/memory-transport'
import { eventually } from '#tools/servers/eventually'

/** One end of a connection, with what it heard. */
class End implements ConnectionHandlers {
  readonly frames: string[] = []
  readonly closes: (Error | undefined)[] = []
  opened = 0
  connection: Connection | undefined
  onOpen(): void {
    this.opened++
  }
  onFrame(frame: Uint8Array<ArrayBuffer>): void {
    if (this.closes.length > 0) throw new Error('a frame after the end')
    this.frames.push(Buffer.from(frame).toString())
  }
  onClose(error: Error | undefined): void {
    this.closes.push(error)
  }
}

const bytes = (text: string): Uint8Array => Buffer.from(text)
const listeners: Listener[] = []
const connections: Connection[] = []
afterEach(async () => {
  for (const connection of connections.splice(0)) connection.destroy()
  for (const listener of listeners.splice(0)) await listener.close()
})

async function listening(transport: Transport) {
  const accepted: End[] = []
  const listener = await transport.listen({ host: '127.0.0.1', port: 0 }, (connection) => {
    const end = new End()
    end.connection = connection
    accepted.push(end)
    connections.push(connection)
    return end
  })
  listeners.push(listener)
  return { accepted, listener, address: `127.0.0.1:${listener.port}` }
}

function dial(transport: Transport, address: string): End & { connection: Connection } {
  const end = new End()
  const connection = transport.connect(address, end)
  connections.push(connection)
  return Object.assign(end, { connection })
}

const soon = (what: string, check: () => boolean) => eventually(check, { what, limitMs: 5000, everyMs: 1 })

describe.each([
  ['TCP', () => tcpTransport],
  ['memory', () => new MemoryTransport()],
])('a transport over %s', (_, make) => {
  test('hands frames over whole, once and in order, in both directions', async () => {
    const transport = make()
    const { accepted, address } = await listening(transport)
    const near = dial(transport, address)
    await soon('the connection', () => near.opened === 1 && accepted.length === 1)
    near.connection.send(bytes('a'), bytes('b'))
    near.connection.send()
    near.connection.send(bytes('c'))
    await soon('three frames', () => accepted[0]?.frames.length === 3)
    expect(accepted[0]?.frames).toEqual(['ab', '', 'c'])
    accepted[0]?.connection?.send(bytes('back'))
    await soon('the answer', () => near.frames.length === 1)
    expect(near.frames).toEqual(['back'])
  })

  test('ends both sides once, after what was sent before', async () => {
    const transport = make()
    const { accepted, address } = await listening(transport)
    const near = dial(transport, address)
    await soon('the connection', () => near.opened === 1 && accepted.length === 1)
    near.connection.send(bytes('last'))
    near.connection.close()
    near.connection.close()
    near.connection.send(bytes('too late'))
    await soon('the end', () => accepted[0]?.closes.length === 1)
    near.connection.destroy()
    expect(near.closes).toEqual([undefined])
    expect(accepted[0]?.frames).toEqual(['last'])
    expect([near.connection.closed, accepted[0]?.connection?.closed]).toEqual([true, true])
  })

  test('tells that nobody listens', async () => {
    const transport = make()
    const { listener, address } = await listening(transport)
    await listener.close()
    const near = dial(transport, address)
    await soon('the refusal', () => near.closes.length === 1)
    expect(near.closes[0]?.message).toMatch(/ECONNREFUSED/)
    expect(near.opened).toBe(0)
  })

  test('ends a connection whose first frame is longer than a greeting may be', async () => {
    const transport = make()
    const { accepted, address } = await listening(transport)
    const near = dial(transport, address)
    await soon('the connection', () => near.opened === 1)
    near.connection.send(new Uint8Array(4097))
    await soon('the end', () => near.closes.length === 1 && accepted[0]?.closes.length === 1)
    expect(accepted[0]?.frames).toEqual([])
  })

  test('stops listening without waiting for the connections that stand', async () => {
    const transport = make()
    const { accepted, listener, address } = await listening(transport)
    const near = dial(transport, address)
    await soon('the connection', () => near.opened === 1 && accepted.length === 1)
    await listener.close()
    near.connection.send(bytes('still here'))
    await soon('the frame', () => accepted[0]?.frames.length === 1)
    const late = dial(transport, address)
    await soon('the refusal', () => late.closes.length === 1)
  })

  test('refuses a port that is in use', async () => {
    const transport = make()
    const { listener } = await listening(transport)
    const again = transport.listen({ host: '127.0.0.1', port: listener.port }, () => new End())
    await expect(again).rejects.toMatchObject({ code: 'CFG_INVALID' })
  })
})

describe('the TCP transport', () => {
  test('refuses an address without a port', () => {
    expect(() => tcpTransport.connect('localhost', new End())).toThrow(/Not an address/)
  })

  test('resolves a host name to all its addresses, with the port', async () => {
    const found = await tcpTransport.resolve('localhost:6123')
    expect(found.length).toBeGreaterThan(0)
    for (const address of found) expect(address).toMatch(/^(127\.0\.0\.1|\[::1\]):6123$/)
  })

  test('does not wait at its end for a peer that keeps its half open', async () => {
    const { accepted, listener } = await listening(tcpTransport)
    const stuck = connect({ port: listener.port, host: '127.0.0.1', allowHalfOpen: true })
    stuck.on('error', () => undefined)
    await soon('the connection', () => accepted.length === 1)
    accepted[0]?.connection?.close()
    await listener.close()
    expect(accepted[0]?.closes).toEqual([undefined])
    stuck.destroy()
  })
})
