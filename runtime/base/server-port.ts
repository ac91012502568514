import type { Server } from 'node:net'
import { invariant } from './errors.ts'

/** The TCP port on which `server` listens. */
export function portOf(server: Server): number {
  const address = server.address()
  invariant(typeof address === 'object' && address !== null, 'the server listens on a TCP port')
  return address.port
}
