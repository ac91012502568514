/**
 * The JobManager's port for TaskManagers, on real sockets, against peers that behave and peers that
 * do not.
 */
import { connect, type Socket } from 'node:net'
import { Packr } from 'msgpackr'
import { afterEach, describe, expect, test } from 'vitest'
import { silentLogger } from '#runtime/base/logger'
import type { FromTaskManager } from '#runtime/contract/rpc'
import { VERSION, WIRE_VERSION } from '#runtime/contract/version'
import {
  TaskManagerRegistry,
  type RegisteredTaskManager,
  type RegistryEvents,
} from '#runtime/job-manager/task-manager-registry'
import { decodeFromJobManager } from '#runtime/net/messages'
import { tcpTransport } from '#runtime/net/tcp-transport'
import { TOKEN } from '#test/kit/scripted-task-manager'
import { WatchedClock } from '#test/kit/watched-clock'
import { eventually } from '#tools/servers/eventually'

const HELLO: FromTaskManager = {
  type: 'hello',
  wire: WIRE_VERSION,
  version: VERSION,
  token: TOKEN,
  jobUid: 'uid-1',
  run: 1,
  id: 'tm-1',
  slots: 2,
  dataAddress: '10.0.0.1:6124',
}
const HEARTBEAT: FromTaskManager = {
  type: 'heartbeat',
  freeSlots: 1,
  attempt: undefined,
  progress: undefined,
  subtasks: [],
  standstills: [],
}

class Recorder implements RegistryEvents {
  readonly heard: string[] = []
  registered({ key }: RegisteredTaskManager): void {
    this.heard.push(`registered ${key}`)
  }
  lost({ key }: RegisteredTaskManager, why: string): void {
    this.heard.push(`lost ${key}: ${why}`)
  }
  received({ key }: RegisteredTaskManager, message: FromTaskManager): void {
    this.heard.push(`${key} says ${message.type}`)
  }
}

/** A socket that sends whatever a test wants. */
class Peer {
  readonly socket: Socket
  received = Buffer.alloc(0)
  closed = false

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1' })
    this.socket.on('data', (chunk: Buffer) => (this.received = Buffer.concat([this.received, chunk])))
    this.socket.on('error', () => undefined)
    this.socket.on('close', () => (this.closed = true))
    this.socket.resume()
    sockets.push(this.socket)
  }

  /** In one frame. */
  send(message: unknown): void {
    const body = new Packr({ useRecords: false }).pack(message)
    const length = Buffer.alloc(4)
    length.writeUInt32LE(body.length)
    this.socket.write(Buffer.concat([length, body]))
  }

  /** The messages that have arrived whole. */
  get messages() {
    const messages = []
    for (let at = 0; at + 4 <= this.received.length;) {
      const end = at + 4 + this.received.readUInt32LE(at)
      messages.push(decodeFromJobManager(this.received.subarray(at + 4, end)))
      at = end
    }
    return messages
  }
}

const sockets: Socket[] = []
const registries: TaskManagerRegistry[] = []
const clocks: WatchedClock[] = []
afterEach(async () => {
  for (const registry of registries.splice(0)) await registry.close()
  for (const socket of sockets.splice(0)) socket.destroy()
  for (const clock of clocks.splice(0)) expect(clock.pending).toEqual([])
})

const soon = (what: string, check: () => boolean) => eventually(check, { what, limitMs: 5000, everyMs: 2 })

async function listening() {
  const clock = new WatchedClock()
  const registry = new TaskManagerRegistry({
    host: '127.0.0.1',
    port: 0,
    token: TOKEN,
    jobUid: 'uid-1',
    run: 1,
    id: 'jm-1',
    clock,
    logger: silentLogger,
    transport: tcpTransport,
  })
  registries.push(registry)
  clocks.push(clock)
  const port = await registry.listen()
  const dial = () => new Peer(port)
  const events = new Recorder()
  const registered = async (id = 'tm-1') => {
    const peer = dial()
    peer.send({ ...HELLO, id })
    await soon('its welcome', () => peer.messages.length > 0)
    return peer
  }
  return { clock, registry, port, dial, events, registered }
}

describe('a TaskManager that says hello', () => {
  test('is welcomed by a standby, and welcomed again when it leads', async () => {
    const { registry, events, registered } = await listening()
    const peer = await registered()
    expect(peer.messages).toEqual([{ type: 'welcome', leader: false, epoch: 0, id: 'jm-1' }])
    registry.lead(3, events)
    expect(events.heard).toEqual(['registered tm-1#1'])
    await soon('the second welcome', () => peer.messages.length === 2)
    expect(peer.messages[1]).toEqual({ type: 'welcome', leader: true, epoch: 3, id: 'jm-1' })
  })

  test('is shown with its slots and the age of its last message', async () => {
    const { registry, clock, registered } = await listening()
    const peer = await registered()
    peer.send(HEARTBEAT)
    await soon('the heartbeat', () => registry.views()[0]?.freeSlots === 1)
    await clock.runFor(700)
    expect(registry.views()).toEqual([
      { id: 'tm-1', address: '10.0.0.1:6124', slots: 2, freeSlots: 1, lastHeartbeatAgoMs: 700 },
    ])
  })

  test('is lost when its connection closes', async () => {
    const { registry, events, registered } = await listening()
    registry.lead(1, events)
    const peer = await registered()
    peer.socket.end()
    await soon('the loss', () => events.heard.length === 2)
    expect(events.heard[1]).toBe('lost tm-1#1: its connection closed')
    expect(registry.list).toEqual([])
  })

  test('is lost after ten silent seconds, and its connection is closed', async () => {
    const { registry, events, clock, registered } = await listening()
    registry.lead(1, events)
    const peer = await registered()
    await clock.runFor(10_000)
    expect(events.heard).toHaveLength(1)
    await clock.runFor(1000)
    expect(events.heard[1]).toBe('lost tm-1#1: it sent no heartbeat for 10000 ms')
    await soon('the end of its connection', () => peer.closed)
  })

  test('on a second connection replaces the first one', async () => {
    const { registry, events, registered } = await listening()
    registry.lead(1, events)
    const first = await registered()
    const second = await registered()
    await soon('the end of the first', () => first.closed)
    expect(events.heard).toEqual([
      'registered tm-1#1',
      'lost tm-1#1: it connected again',
      'registered tm-1#2',
    ])
    second.send(HEARTBEAT)
    await soon('its heartbeat', () => events.heard.includes('tm-1#2 says heartbeat'))
    expect(registry.list).toHaveLength(1)
  })
})

describe('a peer is refused that', () => {
  test.each([
    ['has another token', { ...HELLO, token: 'another-token-for-tests' }],
    ['has no token', { ...HELLO, token: undefined }],
    ['belongs to another job', { ...HELLO, jobUid: 'uid-2' }],
    ['is of another run', { ...HELLO, run: 2 }],
    ['speaks another wire version', { ...HELLO, wire: WIRE_VERSION + 1 }],
    ['offers no slots', { ...HELLO, slots: 0 }],
    ['has no name', { ...HELLO, id: '' }],
    ['says something else before hello', HEARTBEAT],
    ['says what nobody understands', { type: 'hello' }],
    ['says nothing at all in its frame', null],
  ])('%s', async (_, message) => {
    const { registry, events, dial } = await listening()
    registry.lead(1, events)
    const peer = dial()
    peer.send(message)
    await soon('the end of its connection', () => peer.closed)
    expect(peer.received).toHaveLength(0)
    expect(events.heard).toEqual([])
  })

  test('sends bytes of another protocol', async () => {
    const { dial } = await listening()
    const peer = dial()
    peer.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await soon('the end of its connection', () => peer.closed)
  })

  test('announces a large frame before it has said who it is', async () => {
    const { dial } = await listening()
    const peer = dial()
    const header = Buffer.alloc(4)
    header.writeUInt32LE(200 * 1024 * 1024)
    peer.socket.write(header)
    await soon('the end of its connection', () => peer.closed)
  })

  test('says hello twice, under one name or two', async () => {
    const { registry, events, registered } = await listening()
    registry.lead(1, events)
    const [first, second] = [await registered('tm-1'), await registered('tm-2')]
    first.send(HELLO)
    second.send({ ...HELLO, id: 'tm-3' })
    await soon('the end of both', () => first.closed && second.closed)
    expect(registry.list).toEqual([])
    expect(events.heard.filter((h) => h.startsWith('registered'))).toHaveLength(2)
  })

  test('says hello byte by byte and too slowly', async () => {
    const { clock, dial } = await listening()
    const peer = dial()
    peer.socket.write(Buffer.from([200]))
    await soon('the connection', () => clock.pending.length === 2)
    await clock.runFor(9000)
    peer.socket.write(Buffer.from([0]))
    expect(peer.closed).toBe(false)
    await clock.runFor(1100)
    await soon('the end of its connection', () => peer.closed)
  })
})

describe('a registered TaskManager that sends', () => {
  test.each([
    ['a heartbeat without its subtasks', { ...HEARTBEAT, subtasks: undefined }],
    ['a failure without an error', { type: 'failed', attempt: '1.1', subtask: undefined }],
    ['an acknowledgement of nothing', { type: 'ack' }],
    ['an attempt that is none', { type: 'deployed', attempt: 'x', restoreMs: 1 }],
    ['something unknown', { type: 'format-disk' }],
  ])('%s is lost, and nobody else is', async (_, message) => {
    const { registry, events, registered } = await listening()
    registry.lead(1, events)
    const [bad, good] = [await registered('tm-1'), await registered('tm-2')]
    bad.send(message)
    await soon('the end of its connection', () => bad.closed)
    expect(events.heard.at(-1)).toMatch(/^lost tm-1#1: /)
    good.send(HEARTBEAT)
    await soon('a heartbeat of the other', () => events.heard.at(-1) === 'tm-2#2 says heartbeat')
    expect(registry.list.map((t) => t.id)).toEqual(['tm-2'])
  })
})

describe('close()', () => {
  test('waits for nobody: neither a frozen TaskManager nor who has not said hello', async () => {
    const { registry, port, dial } = await listening()
    const frozen = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    frozen.on('error', () => undefined)
    sockets.push(frozen)
    const body = new Packr({ useRecords: false }).pack(HELLO)
    const length = Buffer.alloc(4)
    length.writeUInt32LE(body.length)
    frozen.write(Buffer.concat([length, body]))
    const silent = dial()
    await soon('both connections', () => registry.list.length === 1 && silent.socket.readyState === 'open')
    const start = performance.now()
    await registry.close()
    expect(performance.now() - start).toBeLessThan(1000)
    await soon('the end of the silent one', () => silent.closed)
  })
})
