import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { FrameSocket, MAX_GREETING_BYTES } from '#runtime/net/frame-socket'

const open: (Server | Socket)[] = []
afterEach(() => {
  for (const o of open.splice(0)) 'destroy' in o ? o.destroy() : o.close()
})

interface Received {
  readonly frames: Uint8Array[]
  readonly closed: Promise<Error | undefined>
  onFrame(count: number): Promise<void>
}

/** A raw client socket whose bytes arrive at a FrameSocket. */
async function receiver(firstFrameBytes?: number): Promise<{ client: Socket; received: Received }> {
  const frames: Uint8Array[] = []
  const waiters: { count: number; resolve: () => void }[] = []
  const { promise: closed, resolve } = Promise.withResolvers<Error | undefined>()
  const server = createServer((socket) => {
    open.push(socket)
    const handlers = {
      onFrame: (bytes: Uint8Array) => {
        frames.push(bytes)
        for (const w of waiters) if (frames.length >= w.count) w.resolve()
      },
      onClose: resolve,
    }
    new FrameSocket(socket, () => handlers, firstFrameBytes)
  })
  open.push(server)
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  open.push(client)
  await new Promise<void>((done) => client.once('connect', () => done()))
  return {
    client,
    received: {
      frames,
      closed,
      onFrame: (count) =>
        frames.length >= count
          ? Promise.resolve()
          : new Promise((done) => waiters.push({ count, resolve: done })),
    },
  }
}

const frame = (bytes: readonly number[]): Buffer => {
  const header = Buffer.alloc(4)
  header.writeUInt32LE(bytes.length)
  return Buffer.concat([header, Buffer.from(bytes)])
}

describe('FrameSocket', () => {
  test('hands over whole frames however the bytes are cut', async () => {
    const { client, received } = await receiver()
    const bytes = Buffer.concat([frame([1, 2, 3]), frame([]), frame([4])])
    for (const byte of bytes) client.write(Buffer.from([byte]))
    await received.onFrame(2)
    client.write(frame([5, 6]))
    await received.onFrame(3)
    expect(received.frames.map((f) => [...f])).toEqual(
      [[1, 2, 3], [], [4], [5, 6]].slice(0, received.frames.length),
    )
  })

  test('gives each frame a buffer of its own', async () => {
    const { client, received } = await receiver()
    client.write(Buffer.concat([frame([1]), frame([2])]))
    await received.onFrame(2)
    expect(received.frames[0]?.buffer).not.toBe(received.frames[1]?.buffer)
    expect(received.frames[0]?.byteLength).toBe(received.frames[0]?.buffer.byteLength)
  })

  test('refuses a peer that announces an absurd length, and says so', async () => {
    const { client, received } = await receiver()
    client.write(Buffer.from('GET / HTTP/1.1\r\n\r\n'))
    expect((await received.closed)?.message).toMatch(/announced a frame of .* not a Weir peer/)
  })

  test('limits the first frame of who has not greeted yet, and no later one', async () => {
    const greeted = await receiver(MAX_GREETING_BYTES)
    greeted.client.write(Buffer.concat([frame([1]), frame(Array.from({ length: 5000 }, () => 2))]))
    await greeted.received.onFrame(2)
    expect(greeted.received.frames[1]).toHaveLength(5000)
    const stranger = await receiver(MAX_GREETING_BYTES)
    stranger.client.write(frame(Array.from({ length: 5000 }, () => 2)))
    expect((await stranger.received.closed)?.message).toMatch(/frame of 5000 bytes, the limit is 4096/)
    expect(stranger.received.frames).toEqual([])
  })

  test('reports the end of the connection once', async () => {
    const { client, received } = await receiver()
    client.end()
    expect(await received.closed).toBeUndefined()
  })
})
