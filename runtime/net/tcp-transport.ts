import { portOf } from '#runtime/base/server-port'
import { lookup } from 'node:dns/promises'
import { connect, createServer } from 'node:net'
import { WeirError, messageOf } from '#runtime/base/errors'
import { splitAddress } from './address.ts'
import { FrameSocket, MAX_GREETING_BYTES } from './frame-socket.ts'
import type { Connection, ConnectionHandlers, Listener, Transport } from './transport.ts'

export const tcpTransport: Transport = {
  async listen({ host, port }, accept): Promise<Listener> {
    const server = createServer((raw) => {
      new FrameSocket(raw, accept, MAX_GREETING_BYTES)
    })
    await new Promise<void>((resolve, reject) => {
      // Stays: once it listens, an error is a connection that could not be accepted (no file
      // descriptors left), and whoever dialled tries again.
      server.on('error', (cause) => {
        const text = `Cannot listen on ${host}:${port}: ${messageOf(cause)}`
        reject(new WeirError('CFG_INVALID', text, { cause }))
      })
      server.listen(port, host, resolve)
    })
    return {
      port: portOf(server),
      // Its callback would wait for every connection that stands.
      close: async () => void server.close(),
    }
  },

  connect(address: string, handlers: ConnectionHandlers): Connection {
    const [host, port] = splitAddress(address)
    const raw = connect({ host, port })
    raw.once('connect', () => handlers.onOpen?.())
    return new FrameSocket(raw, () => handlers)
  },

  async resolve(address: string): Promise<readonly string[]> {
    const [host, port] = splitAddress(address)
    const found = await lookup(host, { all: true })
    return found.map(({ address: ip, family }) => (family === 6 ? `[${ip}]:${port}` : `${ip}:${port}`))
  },
}
