/** Data connections between TaskManagers on real sockets, with peers that do not behave. */
import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { silentLogger } from '#runtime/base/logger'
import { WIRE_VERSION } from '#runtime/contract/version'
import { tcpTransport } from '#runtime/net/tcp-transport'
import { DataPlane, type DataPlaneHandlers } from '#runtime/task-manager/data-plane'
import { encodeParcel } from '#runtime/task-manager/parcel-codec'
import type { ExchangeParcel } from '#runtime/task/slot-messages'
import { TOKEN } from '#test/kit/scripted-task-manager'
import { WatchedClock } from '#test/kit/watched-clock'
import { eventually } from '#tools/servers/eventually'

const open: DataPlane[] = []
const sockets: Socket[] = []
const clocks: WatchedClock[] = []
afterEach(async () => {
  for (const plane of open.splice(0)) await plane.close()
  for (const socket of sockets.splice(0)) socket.destroy()
  for (const clock of clocks.splice(0)) expect(clock.pending).toEqual([])
})

async function plane(id: string, token = TOKEN) {
  const clock = new WatchedClock()
  const data = new DataPlane({
    id,
    jobUid: 'uid',
    token,
    host: '127.0.0.1',
    port: 0,
    transport: tcpTransport,
    clock,
    logger: silentLogger,
  })
  open.push(data)
  clocks.push(clock)
  const port = await data.listen()
  return { data, clock, port, address: `127.0.0.1:${port}` }
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

/** A socket that sends frames of any content; `answer` is what came back. */
function stranger(port: number) {
  const socket = connect(port, '127.0.0.1')
  const state = { closed: false, answer: '' }
  socket.on('data', (chunk) => (state.answer += chunk.toString()))
  socket.on('error', () => undefined)
  socket.on('close', () => (state.closed = true))
  sockets.push(socket)
  const send = (frame: Uint8Array) => {
    const length = Buffer.alloc(4)
    length.writeUInt32LE(frame.byteLength)
    socket.write(Buffer.concat([length, frame]))
  }
  return { socket, state, send, say: (json: unknown) => send(Buffer.from(JSON.stringify(json))) }
}

const HELLO = { wire: WIRE_VERSION, jobUid: 'uid', token: TOKEN, attempt: '1.1', from: 'tm-9' }
const soon = (what: string, check: () => boolean) => eventually(check, { what, limitMs: 5000, everyMs: 2 })

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

  test('drops what it has of the attempt before when the next one opens', async () => {
    const [a, b] = [await plane('a'), await plane('b')]
    const [toA, toB] = [recorder(), recorder()]
    await b.data.open('1.1', new Map(), toB.handlers)
    await a.data.open('1.1', new Map([['b', b.address]]), toA.handlers)
    await b.data.open('1.2', new Map(), recorder().handlers)
    expect(await toA.lost).toBe('b')
    a.data.send('b', 0, parcel)
  })

  test('refuses a peer with another token', async () => {
    const [a, b] = [await plane('a', 'another-token-for-tests'), await plane('b')]
    await b.data.open('1.1', new Map(), recorder().handlers)
    await expect(a.data.open('1.1', new Map([['b', b.address]]), recorder().handlers)).rejects.toThrow(
      /did not accept/,
    )
  })

  test('says at once that a peer is not there, and leaves the other dials to the cancel', async () => {
    const [a, gone] = [await plane('a'), await plane('gone')]
    await gone.data.close()
    const dialing = a.data.open('1.1', new Map([['gone', gone.address]]), recorder().handlers)
    await expect(dialing).rejects.toMatchObject({ code: 'NET_LOST' })
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
    const probe = stranger(b.port)
    await new Promise<void>((resolve) => probe.socket.once('connect', () => resolve()))
    probe.socket.destroy()
    const a = await plane('a')
    await b.data.open('1.1', new Map(), recorder().handlers)
    await expect(
      a.data.open('1.1', new Map([['b', b.address]]), recorder().handlers),
    ).resolves.toBeUndefined()
  })
})

describe('a data connection is cut that', () => {
  test.each([
    ['has another token', { ...HELLO, token: 'another-token-for-tests' }],
    ['has no token', { ...HELLO, token: undefined }],
    ['has a token that is no text', { ...HELLO, token: 7 }],
    ['is of another job', { ...HELLO, jobUid: 'other' }],
    ['speaks another wire version', { ...HELLO, wire: WIRE_VERSION + 1 }],
    ['names no attempt', { ...HELLO, attempt: 'x' }],
    ['greets with nothing', null],
    ['greets with a text', 'hello'],
  ])('%s', async (_, greeting) => {
    const { data, port } = await plane('a')
    await data.open('1.1', new Map(), recorder().handlers)
    const peer = stranger(port)
    peer.say(greeting)
    await soon('its end', () => peer.state.closed)
    expect(peer.state.answer).toBe('')
  })

  test('sends no JSON, or a greeting that is too long', async () => {
    const { port } = await plane('a')
    const [garbage, long] = [stranger(port), stranger(port)]
    garbage.send(Buffer.from([0xff, 0x00, 0x7b]))
    long.say({ ...HELLO, from: 'x'.repeat(5000) })
    await soon('the end of both', () => garbage.state.closed && long.state.closed)
  })

  test('says nothing for ten seconds', async () => {
    const { clock, port } = await plane('a')
    const peer = stranger(port)
    await soon('the connection', () => clock.pending.length === 1)
    await clock.runFor(9999)
    expect(peer.state.closed).toBe(false)
    await clock.runFor(1)
    await soon('its end', () => peer.state.closed)
  })

  test('waits for an attempt that is not deployed here within half a minute', async () => {
    const { clock, data, port } = await plane('a')
    await data.open('1.1', new Map(), recorder().handlers)
    const peer = stranger(port)
    peer.say({ ...HELLO, attempt: '1.2' })
    await soon('the greeting', () => clock.pending.length === 1)
    await clock.runFor(30_000)
    await soon('its end', () => peer.state.closed)
  })

  test('goes on before it was accepted: nothing of it reaches the attempt that runs', async () => {
    const { data, port } = await plane('a')
    const parcels: number[] = []
    await data.open('1.1', new Map(), { onParcel: (slot) => parcels.push(slot), onLost: () => undefined })
    const peer = stranger(port)
    peer.say({ ...HELLO, attempt: '1.2' })
    peer.send(Buffer.concat(encodeParcel(0, parcel)))
    await soon('its end', () => peer.state.closed)
    expect(parcels).toEqual([])
    expect(peer.state.answer).toBe('')
  })

  test('waits for another attempt than the one that opens goes on waiting', async () => {
    const { data, port, clock } = await plane('a')
    const [next, other] = [stranger(port), stranger(port)]
    next.say({ ...HELLO, attempt: '1.2' })
    other.say({ ...HELLO, attempt: '1.3' })
    await soon('both greetings', () => clock.pending.length === 2)
    await data.open('1.2', new Map(), recorder().handlers)
    await soon('the acceptance of one', () => next.state.answer.endsWith('ok'))
    expect(other.state).toEqual({ answer: '', closed: false })
  })

  test('was accepted and sends a parcel that cannot be decoded', async () => {
    const { data, port } = await plane('a')
    const { handlers, lost } = recorder()
    await data.open('1.1', new Map(), handlers)
    const peer = stranger(port)
    peer.say(HELLO)
    await soon('its acceptance', () => peer.state.answer.endsWith('ok'))
    peer.send(Buffer.from([1, 2, 3]))
    expect(await lost).toBe('tm-9')
    await soon('its end', () => peer.state.closed)
  })
})

test('a plane that closes waits for no connection, and leaves none', async () => {
  const { data, port, clock } = await plane('a')
  const [silent, waiting] = [stranger(port), stranger(port)]
  waiting.say({ ...HELLO, attempt: '1.9' })
  await soon('both connections', () => clock.pending.length === 2)
  const start = performance.now()
  await data.close()
  expect(performance.now() - start).toBeLessThan(1000)
  await soon('the end of both', () => silent.state.closed && waiting.state.closed)
})
