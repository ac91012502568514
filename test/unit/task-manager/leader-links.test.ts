import { describe, expect, test } from 'vitest'
import { silentLogger } from '#runtime/base/logger'
import type { FromJobManager, FromTaskManager } from '#runtime/contract/rpc'
import { decodeFromTaskManager, sendMessage } from '#runtime/net/messages'
import type { Connection, Listener, Transport } from '#runtime/net/transport'
import { LeaderLinks, type Link } from '#runtime/task-manager/leader-links'
import { MemoryTransport } from '#test/kit/memory-transport'
import { WatchedClock } from '#test/kit/watched-clock'

/** Any message does. */
const hello = (id: string): FromTaskManager => ({ type: 'leaving', why: `hello of ${id}` })
const welcome: FromJobManager = { type: 'welcome', leader: true, epoch: 1, id: 'jm' }

/** A JobManager's port that notes what it hears. */
class Port {
  readonly heard: string[] = []
  readonly connections: Connection[] = []
  #listener: Listener | undefined

  async listen(transport: Transport, port: number): Promise<this> {
    this.#listener = await transport.listen({ host: '127.0.0.1', port }, (connection) => {
      this.connections.push(connection)
      return {
        onFrame: (frame) => {
          const message = decodeFromTaskManager(frame)
          this.heard.push(message.type === 'leaving' ? message.why : message.type)
        },
        onClose: () => this.heard.push('closed'),
      }
    })
    return this
  }

  async close(): Promise<void> {
    await this.#listener?.close()
    for (const connection of this.connections) connection.destroy()
  }
}

function linked(addresses: readonly string[], given: Partial<Pick<Transport, 'resolve' | 'connect'>> = {}) {
  const clock = new WatchedClock()
  const transport = new MemoryTransport()
  const messages: FromJobManager[] = []
  const lost: string[] = []
  const links = new LeaderLinks(addresses, {
    transport: {
      listen: transport.listen.bind(transport),
      connect: transport.connect.bind(transport),
      resolve: transport.resolve.bind(transport),
      ...given,
    },
    clock,
    logger: silentLogger,
    hello: () => hello('tm-1'),
    onMessage: (_link: Link, message: FromJobManager) => messages.push(message),
    onLost: (link: Link) => lost.push(link.address),
  })
  const end = async () => {
    links.close()
    await clock.runFor(0)
    expect(clock.pending).toEqual([])
    expect(transport.open).toEqual([])
  }
  return { clock, transport, links, messages, lost, end }
}

describe('LeaderLinks', () => {
  test('says hello to every JobManager and hears each', async () => {
    const { clock, transport, links, messages, end } = linked(['h:1', 'h:2'])
    const ports = [await new Port().listen(transport, 1), await new Port().listen(transport, 2)]
    await links.open()
    await clock.runFor(0)
    expect(ports.map((p) => p.heard)).toEqual([['hello of tm-1'], ['hello of tm-1']])
    for (const { connections } of ports) sendMessage(connections[0] as Connection, welcome)
    await clock.runFor(0)
    expect(messages).toEqual([welcome, welcome])
    links.broadcast({ type: 'leaving', why: 'SIGTERM' })
    await clock.runFor(0)
    expect(ports.map((p) => p.heard.at(-1))).toEqual(['SIGTERM', 'SIGTERM'])
    await end()
  })

  test('says nothing while it still dials: hello is the first that a JobManager hears', async () => {
    const sent: string[] = []
    let opened: (() => void) | undefined
    const connection: Connection = {
      remote: 'h:1',
      closed: false,
      send: (...frame) => {
        const message = decodeFromTaskManager(Buffer.concat(frame))
        sent.push(message.type === 'leaving' ? message.why : message.type)
      },
      close: () => undefined,
      destroy: () => undefined,
    }
    const { links, clock } = linked(['h:1'], {
      connect: (_, handlers) => {
        opened = () => handlers.onOpen?.()
        return connection
      },
    })
    await links.open()
    links.broadcast({ type: 'leaving', why: 'too early' })
    opened?.()
    links.broadcast({ type: 'leaving', why: 'SIGTERM' })
    expect(sent).toEqual(['hello of tm-1', 'SIGTERM'])
    links.close()
    expect(clock.pending).toEqual([])
  })

  test('dials again, ever slower, until a JobManager is there, and calls none of that a loss', async () => {
    let dials = 0
    const { clock, transport, links, lost, end } = linked(['h:1'], {
      connect: (address, handlers) => {
        dials++
        return transport.connect(address, handlers)
      },
    })
    await links.open()
    await clock.runFor(10_000)
    expect(dials).toBeGreaterThan(8)
    expect(dials).toBeLessThan(20)
    expect(lost).toEqual([])
    const port = await new Port().listen(transport, 1)
    await clock.runFor(1000)
    expect(port.heard).toEqual(['hello of tm-1'])
    await end()
    expect(lost).toEqual(['h:1'])
  })

  test('is back within a tenth of a second after a connection that worked was lost', async () => {
    const { clock, transport, links, end } = linked(['h:1'])
    await links.open()
    await clock.runFor(10_000)
    const port = await new Port().listen(transport, 1)
    await clock.runFor(1000)
    sendMessage(port.connections[0] as Connection, welcome)
    await clock.runFor(0)
    port.connections[0]?.destroy()
    await clock.runFor(100)
    expect(port.heard).toEqual(['hello of tm-1', 'closed', 'hello of tm-1'])
    await end()
  })

  test('finds JobManagers that DNS begins to name, and drops those it does not name any more', async () => {
    let named = ['h:1']
    const { clock, transport, links, lost, end } = linked(['jm:1'], { resolve: async () => named })
    const ports = [await new Port().listen(transport, 1), await new Port().listen(transport, 2)]
    await links.open()
    await clock.runFor(0)
    named = ['h:2']
    await clock.runFor(1000)
    expect(ports.map((p) => p.heard)).toEqual([['hello of tm-1', 'closed'], ['hello of tm-1']])
    expect(lost).toEqual(['h:1'])
    await end()
  })

  test('keeps what stands while DNS knows nothing, or fails', async () => {
    let answer: () => Promise<readonly string[]> = async () => ['h:1']
    const { clock, transport, links, end } = linked(['jm:1'], { resolve: () => answer() })
    const port = await new Port().listen(transport, 1)
    await links.open()
    await clock.runFor(0)
    answer = async () => []
    await clock.runFor(3000)
    answer = () => Promise.reject(new Error('ENOTFOUND'))
    await clock.runFor(3000)
    expect(port.heard).toEqual(['hello of tm-1'])
    await end()
  })

  test('drops a connection on which nonsense arrives, and dials again', async () => {
    const { clock, transport, links, messages, end } = linked(['h:1'])
    const port = await new Port().listen(transport, 1)
    await links.open()
    await clock.runFor(0)
    port.connections[0]?.send(Buffer.from('nonsense'))
    await clock.runFor(200)
    expect(messages).toEqual([])
    expect(port.heard.slice(0, 3)).toEqual(['hello of tm-1', 'closed', 'hello of tm-1'])
    await end()
  })
})
