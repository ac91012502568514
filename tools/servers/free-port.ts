import { createServer } from 'node:net'

/**
 * A TCP port on 127.0.0.1 that nobody listens on now. Another process may take it before the caller
 * does: a server that cannot start on it should be started on another.
 */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() =>
        typeof address === 'object' && address !== null
          ? resolve(address.port)
          : reject(new Error('no port')),
      )
    })
  })
}
