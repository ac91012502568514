import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '#runtime/base/clock'
import { JobManagerClient } from '#runtime/contract/job-manager-client'
import { TestClock } from '#runtime/testing/test-clock'

interface Asked {
  readonly method: string | undefined
  readonly url: string | undefined
  readonly authorization: string | undefined
  readonly body: string
}

let server: http.Server
let asked: Asked[]
let answer: (response: http.ServerResponse) => void

const url = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`
const client = (token?: string, clock = systemClock) =>
  new JobManagerClient({ url: url(), ...(token === undefined ? {} : { token }) }, { clock })
const never = new AbortController().signal

beforeEach(async () => {
  asked = []
  answer = (response) => response.end('{}')
  server = http.createServer((request, response) => {
    void text(request).then((body) => {
      const { method, url, headers } = request
      asked.push({ method, url, authorization: headers.authorization, body })
      answer(response)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})
afterEach(async () => {
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
})

async function collect(events: AsyncIterable<unknown>): Promise<unknown[]> {
  const seen: unknown[] = []
  for await (const facts of events) seen.push(facts)
  return seen
}

describe('a request', () => {
  test('is sent with the token and as JSON', async () => {
    answer = (response) => response.end('{"triggerId":"t"}')
    expect(await client('secret').triggerStop({ triggerId: 't', mode: 'checkpoint' })).toEqual({
      triggerId: 't',
    })
    expect(asked).toEqual([
      {
        method: 'POST',
        url: '/jobs/current/stop',
        authorization: 'Bearer secret',
        body: '{"triggerId":"t","mode":"checkpoint"}',
      },
    ])
  })

  test('without a token sends none', async () => {
    await client().overview()
    expect(asked[0]?.authorization).toBeUndefined()
  })

  test('that is refused rejects with the code and message of the JobManager', async () => {
    answer = (response) => response.writeHead(400).end('{"code":"CFG_INVALID","message":"takes no path"}')
    await expect(client().triggerSavepoint({ path: 's3://a' })).rejects.toMatchObject({
      code: 'CFG_INVALID',
      message: 'takes no path',
      context: { status: 400 },
    })
  })

  test('that somebody else answers rejects with what it said', async () => {
    answer = (response) => response.writeHead(502).end('<html>bad gateway</html>')
    await expect(client().overview()).rejects.toMatchObject({
      code: 'NET_REFUSED',
      message: expect.stringContaining('failed with 502: <html>bad gateway</html>'),
    })
  })

  test('that nobody answers rejects with NET_LOST and the reason', async () => {
    const lost = client()
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
    await expect(lost.overview()).rejects.toMatchObject({
      code: 'NET_LOST',
      retry: 'backoff',
      message: expect.stringContaining('ECONNREFUSED'),
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  })

  test('that is not answered in time is given up', async () => {
    const clock = new TestClock()
    answer = () => clock.advance(10_000)
    await expect(client(undefined, clock).overview()).rejects.toMatchObject({
      code: 'NET_LOST',
      message: expect.stringContaining('no answer within 10000 ms'),
    })
  })

  test('may take its time as long as the whole answer comes within the limit', async () => {
    const clock = new TestClock()
    answer = (response) => {
      clock.advance(9999)
      response.end('{"run":1}')
    }
    expect(await client(undefined, clock).overview()).toEqual({ run: 1 })
  })
})

describe('a stream of facts', () => {
  test('gives a document for each line, however the bytes are cut', async () => {
    answer = (response) => {
      response.write('{"run":1}\n\n{"ru')
      response.write('n":2}\n{"run":3}\n')
      response.end()
    }
    expect(await collect(client().events(never))).toEqual([{ run: 1 }, { run: 2 }, { run: 3 }])
  })

  test('ends without an error when its reader has had enough', async () => {
    answer = (response) => response.write('{"run":1}\n')
    const stop = new AbortController()
    const seen: unknown[] = []
    for await (const facts of client().events(stop.signal)) {
      seen.push(facts)
      stop.abort()
    }
    expect(seen).toEqual([{ run: 1 }])
  })

  test('that is silent for too long is given up; every line begins the limit anew', async () => {
    const clock = new TestClock()
    let open: http.ServerResponse | undefined
    answer = (response) => {
      open = response
      clock.advance(14_000)
      response.write('{"run":1}\n')
    }
    const events = client(undefined, clock).events(never)
    expect((await events.next()).value).toEqual({ run: 1 })
    clock.advance(14_000)
    open?.write('{"run":2}\n')
    expect((await events.next()).value).toEqual({ run: 2 })
    clock.advance(15_000)
    await expect(events.next()).rejects.toMatchObject({
      code: 'NET_LOST',
      message: expect.stringContaining('nothing heard within 15000 ms'),
    })
  })

  test('that is refused rejects as a request does', async () => {
    answer = (response) =>
      response.writeHead(401).end('{"code":"NET_REFUSED","message":"Authorization is needed"}')
    await expect(collect(client().events(never))).rejects.toMatchObject({
      code: 'NET_REFUSED',
      message: 'Authorization is needed',
    })
  })
})
