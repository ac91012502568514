import { WeirError } from '#runtime/base/errors'

/** "host:port" or "[v6]:port". @throws {WeirError} CFG_INVALID */
export function splitAddress(address: string): [host: string, port: number] {
  const match = /^\[?([^\]]+?)\]?:([0-9]+)$/.exec(address)
  if (match === null)
    throw new WeirError('CFG_INVALID', `Not an address: ${JSON.stringify(address)}. Expected host:port.`)
  const [, host = '', port] = match
  return [host, Number(port)]
}
