import { lookup } from 'node:dns/promises'
import { connect, createServer, type AddressInfo } from 'node:net'
import { WeirError, messageOf } from '#runtime/base/errors'
import { splitAddress } from './address.ts'
import { FrameSocket } from './frame-socket.ts'
import type { Connection, ConnectionHandlers, Listener, Transport } from './transport.ts'

export const tcpTransport: Transport = {
  async listen({ host, port }, accept): Promise<Listener> {
    const server = createServer((raw) => {
      new FrameSocket(raw, accept)
    })
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) =>
        reject(
          new WeirError('CFG_INVALID', `Cannot listen on ${host}:${port}: ${messageOf(error)}`, {
            cause: error,
          }),
        ),
      )
      server.listen(port, host, resolve)
    })
    return {
      port: (server.address() as AddressInfo).port,
      close: () => new Promise<void>((resolve) => server.close(() => resolve())),
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
