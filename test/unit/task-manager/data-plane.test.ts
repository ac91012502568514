import { connect } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { silentLogger } from '#runtime/base/logger'
import { DataPlane, type DataPlaneHandlers } from '#runtime/task-manager/data-plane'
import type { ExchangeParcel } from '#runtime/task/slot-messages'

const open: DataPlane[] = []
afterEach(async () => {
  for (const plane of open.splice(0)) await plane.close()
})

async function plane(id: string, token = 'a-token-for-tests-only') {
  const data = new DataPlane({ id, jobUid: 'uid', token, host: '127.0.0.1', port: 0, logger: silentLogger })
  open.push(data)
  return { data, address: `127.0.0.1:${await data.listen()}` }
}

/** Handlers that collect parcels, and a promise for the first. */
function recorder() {
  const first = Promise.withResolvers<ExchangeParcel>()
  const lost = Promise.withResolvers<string>()
  const handlers: DataPlaneHandlers = {
    onParcel: (_slot, parcel) => first.resolve(parcel),
    onLost: (peer) => lost.resolve(peer),
  }
  return { handlers, first: first.promise, lost: lost.promise }
}
const parcel: ExchangeParcel = { frames: [new Uint8Array([1, 2, 3])], credits: [5, 1] }

describe('DataPlane', () => {
  test('carries parcels between processes of one attempt, whoever deploys first', async () => {
    const [a, b] = [await plane('a'), await plane('b')]
    const [toA, toB] = [recorder(), recorder()]
    const dialing = a.data.open('1.1', new Map([['b', b.address]]), toA.handlers)
    await b.data.open('1.1', new Map([['a', a.address]]), toB.handlers)
    await dialing
    a.data.send('b', 0, parcel)
    const received = await toB.first
    expect([...(received.frames[0] as Uint8Array)]).toEqual([1, 2, 3])
    expect(received.credits).toEqual([5, 1])
  })

  test('hands nothing of another attempt over', async () => {
    const [a, b] = [await plane('a'), await plane('b')]
    const toB = recorder()
    await b.data.open('1.2', new Map(), toB.handlers)
    const dialing = a.data.open('1.1', new Map([['b', b.address]]), recorder().handlers)
    await b.data.close()
    await expect(dialing).rejects.toThrow(/did not accept the data connection of attempt 1.1/)
  })

  test('refuses a peer with another token', async () => {
    const [a, b] = [await plane('a', 'another-token-for-tests'), await plane('b')]
    await b.data.open('1.1', new Map(), recorder().handlers)
    await expect(a.data.open('1.1', new Map([['b', b.address]]), recorder().handlers)).rejects.toThrow(
      /did not accept/,
    )
  })

  test('tells when a peer is lost', async () => {
    const [a, b] = [await plane('a'), await plane('b')]
    const toB = recorder()
    await b.data.open('1.1', new Map(), toB.handlers)
    await a.data.open('1.1', new Map([['b', b.address]]), recorder().handlers)
    await a.data.close()
    expect(await toB.lost).toBe('a')
  })

  test('does not mind a probe that connects and goes', async () => {
    const b = await plane('b')
    const [host, port] = b.address.split(':') as [string, string]
    const probe = connect(Number(port), host)
    await new Promise<void>((resolve) => probe.once('connect', () => resolve()))
    probe.destroy()
    const a = await plane('a')
    await b.data.open('1.1', new Map(), recorder().handlers)
    await expect(
      a.data.open('1.1', new Map([['b', b.address]]), recorder().handlers),
    ).resolves.toBeUndefined()
  })
})
