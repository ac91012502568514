import { createHash } from 'node:crypto'
import { readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { ListMultipartUploadsCommand, ListPartsCommand } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '#runtime/base/clock'
import { WeirError } from '#runtime/base/errors'
import { files } from '#runtime/connectors/files/index'
import type { Sink } from '#runtime/connectors/sink'
import type { Bucket } from '#runtime/storage/bucket'
import { SystemAccess } from '#runtime/storage/connector-access'
import { createS3Client } from '#runtime/storage/s3-client'
import { FaultyProxy, type ProxiedRequest, type Verdict } from '#test/kit/faulty-proxy'
import { SinkJob } from '#runtime/testing/sink-job'
import { startS3, type S3Server } from '#tools/servers/s3'

const DATA = 'data'
let s3: S3Server
let direct: SystemAccess
let proxy: FaultyProxy
/** Through the proxy. */
let access: SystemAccess
let places = 0

beforeAll(async () => {
  s3 = await startS3()
  await s3.bucket(DATA)
  direct = new SystemAccess(s3.access, systemClock)
  proxy = await FaultyProxy.start({
    target: s3.endpoint,
    async kill() {
      await s3.kill()
      await s3.restart()
    },
  })
  access = new SystemAccess({ ...s3.access, endpoint: proxy.url }, systemClock)
}, 600_000)
afterAll(async () => {
  access?.close()
  direct?.close()
  await proxy?.[Symbol.asyncDispose]()
  await s3?.stop()
})

/** Makes a record longer than a part of an upload, so that it is written as one. */
function padded(sink: Sink<unknown>): Sink<number> {
  return {
    ...sink,
    createWriter(context) {
      const writer = sink.createWriter(context)
      const pad = 'x'.repeat(9 * 1024 * 1024)
      return {
        recover: (isDangling) => writer.recover?.(isDangling),
        begin: (transaction) => writer.begin?.(transaction),
        write: (value, timestamp) => writer.write({ value, pad }, timestamp),
        prepare: () => writer.prepare(),
        commit: (committable) => writer.commit(committable),
        close: () => writer.close(),
      }
    },
  }
}

interface Place {
  readonly job: SinkJob
  readonly prefix: string
}

function place({ large, through = access }: { large: boolean; through?: SystemAccess }): Place {
  const prefix = `place-${++places}/`
  const sink = files.jsonl<any>(`s3://${DATA}/${prefix}`)
  return {
    prefix,
    job: new SinkJob({ sink: () => (large ? padded(sink) : sink), access: through }),
  }
}

/** The records below a prefix, and what is there besides. */
async function foundAt(prefix: string): Promise<{ records: number[]; hidden: string[] }> {
  const bucket = direct.bucket(DATA)
  const isHidden = (key: string): boolean => key.includes('/.weir-')
  const objects = await bucket.list(prefix)
  const records: number[] = []
  for (const { key, sizeBytes, etag } of objects.filter((o) => !isHidden(o.key))) {
    const text = Buffer.from(await bucket.getRange(key, 0, sizeBytes, etag)).toString()
    for (const line of text.trim().split('\n')) {
      const record = JSON.parse(line) as number | { value: number }
      records.push(Math.log2(typeof record === 'number' ? record : record.value))
    }
  }
  const uploads = await bucket.listUploads(prefix)
  return { records: records.sort(), hidden: [...objects, ...uploads].map((o) => o.key).filter(isHidden) }
}

/**
 * Two checkpoints of one record each; attempts that fail are followed by others. Gives how many.
 */
async function live(job: SinkJob): Promise<number> {
  for (let attempts = 1; ; attempts++) {
    if (attempts > 5) throw new Error('the job does not come to its end')
    try {
      await job.start()
      while (job.position < 2) {
        job.send(1)
        await job.checkpoint()
      }
      await job.stop()
      return attempts
    } catch (error) {
      if (error instanceof WeirError && error.retry === 'never') throw error
      await job.kill()
    }
  }
}

/** The requests of an undisturbed life. */
async function requestsOf(large: boolean): Promise<ProxiedRequest[]> {
  const from = proxy.requests.length
  proxy.decide = () => 'forward'
  await live(place({ large }).job)
  return proxy.requests.slice(from)
}

/** A life whose request number `index` meets `verdict`. */
async function disturbed(given: { large: boolean; index: number; verdict: Verdict; through?: SystemAccess }) {
  const { job, prefix } = place(given)
  const from = proxy.requests.length
  proxy.decide = ({ index }) => (index === from + given.index ? given.verdict : 'forward')
  const attempts = await live(job)
  const requests = proxy.requests.length - from
  // Once more, so that what was left behind is removed.
  await job.start()
  return { attempts, requests, ...(await foundAt(prefix)) }
}

describe('files.jsonl() and a server that fails', () => {
  test.each([
    ['small', false],
    ['large', true],
  ] as const)(
    'the server is killed before, during or after any request: %s output comes once',
    async (_, large) => {
      const count = (await requestsOf(large)).length
      for (const verdict of ['kill-before', 'kill-during', 'kill-after'] as const)
        for (let index = 0; index < count; index++) {
          const { records, hidden } = await disturbed({ large, index, verdict })
          expect({ verdict, index, records, hidden }).toEqual({
            verdict,
            index,
            records: [0, 1],
            hidden: [],
          })
        }
    },
    600_000,
  )

  test.each([
    ['small', false],
    ['large', true],
  ] as const)(
    'a request that is answered with 503 is sent again, without a new attempt: %s output',
    async (_, large) => {
      const undisturbed = await requestsOf(large)
      for (let index = 0; index < undisturbed.length; index++) {
        const found = await disturbed({ large, index, verdict: 'unavailable' })
        expect(found).toMatchObject({ attempts: 1, records: [0, 1], hidden: [] })
        // A commit, and the removal of leftovers, begin again as a whole.
        expect(found.requests).toBeLessThanOrEqual(undisturbed.length + 4)
      }
    },
    600_000,
  )

  test('a request that is not answered is given up and sent again', async () => {
    const undisturbed = await requestsOf(true)
    const kinds = Map.groupBy(undisturbed, ({ method, url }) => `${method} ${url.replace(/=[^&]*/g, '=')}`)
    const firsts = [...kinds.values()].map(([first]) => undisturbed.indexOf(first as ProxiedRequest))
    const impatient = new SystemAccess(
      { ...s3.access, endpoint: proxy.url },
      { ...systemClock, after: (delayMs, run) => systemClock.after(Math.min(delayMs, 1500), run) },
    )
    for (const index of firsts) {
      const found = await disturbed({ large: true, index, verdict: 'silence', through: impatient })
      expect(found).toMatchObject({ attempts: 1, records: [0, 1], hidden: [] })
    }
    impatient.close()
  }, 300_000)

  test('every call of a bucket is one request, also when it fails', async () => {
    const bucket = access.bucket(DATA)
    const upload = { key: 'a', uploadId: 'b' }
    const calls: Record<Exclude<keyof Bucket, 'url' | 'partBytes'>, () => Promise<unknown>> = {
      list: () => bucket.list('a'),
      head: () => bucket.head('a'),
      getRange: () => bucket.getRange('a', 0, 1, undefined),
      put: () => bucket.put('a', Buffer.from('a')),
      copy: () => bucket.copy({ key: 'a', sizeBytes: 1 }, 'b'),
      remove: () => bucket.remove('a'),
      startUpload: () => bucket.startUpload('a'),
      uploadPart: () => bucket.uploadPart(upload, 1, Buffer.from('a')),
      completeUpload: () => bucket.completeUpload(upload, [{ number: 1, etag: 'c' }]),
      abortUpload: () => bucket.abortUpload(upload),
      listUploads: () => bucket.listUploads('a'),
    }
    proxy.decide = () => 'unavailable'
    for (const [name, call] of Object.entries(calls)) {
      const before = proxy.requests.length
      await expect(call(), name).rejects.toMatchObject({ code: 'STO_UNAVAILABLE', retry: 'backoff' })
      expect([name, proxy.requests.length - before]).toEqual([name, 1])
    }
  })

  /**
   * What versitygw leaves behind when it is killed while it completes the only upload below a
   * prefix: the upload is renamed, with the object's ETag, and the object is not there yet. Asked
   * to complete it again, it says that it has.
   */
  async function leaveCompletionHalfway(prefix: string): Promise<void> {
    const client = createS3Client(s3.access)
    const { Uploads } = await client.send(new ListMultipartUploadsCommand({ Bucket: DATA, Prefix: prefix }))
    const { Key, UploadId } = Uploads?.[0] as { Key: string; UploadId: string }
    const { Parts } = await client.send(new ListPartsCommand({ Bucket: DATA, Key, UploadId }))
    client.destroy()
    const digests = (Parts ?? []).map((part) => Buffer.from((part.ETag ?? '').replaceAll('"', ''), 'hex'))
    const etag = `${createHash('md5').update(Buffer.concat(digests)).digest('hex')}-${digests.length}`
    const paths = await readdir(join(s3.dir, DATA), { recursive: true })
    const upload = join(s3.dir, DATA, paths.find((path) => path.endsWith(UploadId)) as string)
    await rename(upload, `${upload}.${etag}.inprogress`)
  }

  test('an upload called completed without there being an object fails its checkpoint', async () => {
    const { job, prefix } = place({ large: true })
    let completions = 0
    proxy.decide = async ({ method, url }): Promise<Verdict> => {
      if (method === 'POST' && url.includes('uploadId=') && completions++ === 0)
        await leaveCompletionHalfway(prefix)
      return 'forward'
    }
    await job.start()
    job.send(1)
    await expect(job.checkpoint()).rejects.toThrow('The server lost an upload of')
    await job.kill()
    expect(await foundAt(prefix)).toMatchObject({ records: [] })
    expect(await live(job)).toBe(1)
    expect(await foundAt(prefix)).toMatchObject({ records: [0, 1] })
  })
})
