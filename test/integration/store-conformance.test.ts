import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { CheckpointStore } from '#runtime/storage/checkpoint-store'
import { ListMultipartUploadsCommand } from '@aws-sdk/client-s3'
import { FileStore } from '#runtime/storage/file-store'
import { MemoryObjects, MemoryStore } from '#runtime/storage/memory-store'
import { logSnapshotKey } from '#runtime/storage/paths'
import { probeStore } from '#runtime/storage/probe'
import { createS3Client } from '#runtime/storage/s3-client'
import { S3Store } from '#runtime/storage/s3-store'
import { append, checkpointBody, deployBody, leadLog, openLog } from '#test/kit/commit-log'
import { type S3Server, startS3 } from '#tools/servers/s3'
import { eventually } from '#tools/servers/eventually'
import { type TempDir, tempDir } from '#tools/servers/temp-dir'

const MiB = 1024 * 1024
let s3: S3Server
let directory: TempDir

beforeAll(async () => {
  s3 = await startS3()
  await s3.bucket('weir')
  directory = await tempDir('stores')
}, 600_000)
afterAll(async () => {
  await s3?.stop()
  await directory?.remove()
})

/** A way to open independent stores on one shared, empty place. */
interface Backend {
  readonly name: string
  place(id: string): () => CheckpointStore
}
const backends: Backend[] = [
  {
    name: 'MemoryStore',
    place() {
      const objects = new MemoryObjects()
      return () => new MemoryStore({ objects })
    },
  },
  { name: 'FileStore', place: (id) => () => new FileStore(join(directory.path, id)) },
  {
    name: 'S3Store',
    place: (id) => () => new S3Store({ bucket: 'weir', root: `root/${id}`, access: s3.access }),
  },
  {
    name: 'S3Store without a root',
    place: (id) => () => new S3Store({ bucket: id, root: '', access: s3.access }),
  },
]

let places = 0
let keys = 0
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString()
const bytes = (value: string): Uint8Array => Buffer.from(value)

describe.each(backends)('$name', ({ name, place }) => {
  const empty = async (): Promise<() => CheckpointStore> => {
    const id = `place-${places++}`
    if (name === 'S3Store without a root') await s3.bucket(id)
    return place(id)
  }
  const fresh = async (): Promise<CheckpointStore> => (await empty())()

  test('G1 creates a key once; the second create changes nothing', async () => {
    const store = await fresh()
    expect(await store.create('log/1.json', bytes('first'))).toBe('created')
    expect(await store.create('log/1.json', bytes('second'))).toBe('exists')
    expect(text(await store.get('log/1.json'))).toBe('first')
  })

  test('G1 of 20 concurrent creates through separate stores one wins, and its bytes are there', async () => {
    const open = await empty()
    const stores = Array.from({ length: 20 }, open)
    const answers = await Promise.all(
      stores.map((store, i) =>
        store.create('race/key', bytes(`racer ${i}`)).catch((e: { code: string }) => e.code),
      ),
    )
    const winners = answers.flatMap((answer, i) => (answer === 'created' ? [i] : []))
    expect(winners).toHaveLength(1)
    for (const answer of answers) expect(['created', 'exists', 'STO_UNAVAILABLE']).toContain(answer)
    expect(text(await open().get('race/key'))).toBe(`racer ${winners[0]}`)
    await Promise.all(stores.map((store) => store.close()))
  })

  test('G1 of concurrent creates of one key after its directory was emptied one wins', async () => {
    const store = await fresh()
    for (let round = 0; round < 5; round++) {
      await store.create('dir/a', bytes('a'))
      const [, ...answers] = await Promise.all([
        store.delete(['dir/a']),
        ...[0, 1, 2].map(() => store.create('dir/b', bytes('b'))),
      ])
      expect(answers.filter((a) => a === 'created')).toHaveLength(1)
      await store.delete(['dir/b'])
    }
  })

  test('G2 another store sees an object whole as soon as it was created', async () => {
    const open = await empty()
    const [writer, reader] = [open(), open()]
    for (let i = 0; i < 10; i++) {
      const content = randomBytes(100_000)
      await writer.create(`seen/${i}`, content)
      expect(Buffer.compare(await reader.get(`seen/${i}`), content)).toBe(0)
      expect((await reader.list('seen/')).at(-1)).toMatchObject({ key: `seen/${i}`, sizeBytes: 100_000 })
    }
  })

  test('a missing object is STO_MISSING with its name', async () => {
    const store = await fresh()
    await expect(store.get('log/none.json')).rejects.toMatchObject({ code: 'STO_MISSING' })
    await expect(store.get('log/none.json')).rejects.toThrow(`${store.url.replace(/\/$/, '')}/log/none.json`)
    await expect(store.getRange('log/none.json', 0, 5)).rejects.toMatchObject({ code: 'STO_MISSING' })
    await expect(store.getRange('log/none.json', -5, 0)).rejects.toMatchObject({ code: 'STO_MISSING' })
  })

  test('empty objects can be stored', async () => {
    const store = await fresh()
    await store.create('empty', new Uint8Array(0))
    expect((await store.get('empty')).byteLength).toBe(0)
    expect(await store.list('empty')).toMatchObject([{ key: 'empty', sizeBytes: 0 }])
  })

  test('ranges are [start, end), clipped to the object; a negative start counts from the end', async () => {
    const store = await fresh()
    await store.create('digits', bytes('0123456789'))
    expect(text(await store.getRange('digits', 2, 5))).toBe('234')
    expect(text(await store.getRange('digits', 0, 1))).toBe('0')
    expect(text(await store.getRange('digits', 8, 50))).toBe('89')
    expect(text(await store.getRange('digits', 10, 50))).toBe('')
    expect(text(await store.getRange('digits', 3, 3))).toBe('')
    expect(text(await store.getRange('digits', -3, 0))).toBe('789')
    expect(text(await store.getRange('digits', -50, 0))).toBe('0123456789')
  })

  test('lists in lexicographic order, by prefix, after a key, up to a limit', async () => {
    const store = await fresh()
    const keys = ['log/a', 'log/b-1', 'log/b.2', 'log/b/x', 'log/b/y', 'log/snap-1', 'logbook', 'x/1']
    for (const key of keys.toReversed()) await store.create(key, bytes(key))
    const names = async (prefix: string, options = {}): Promise<string[]> =>
      (await store.list(prefix, options)).map((o) => o.key)
    expect(await names('')).toEqual(keys.toSorted())
    expect(await names('log/')).toEqual(keys.slice(0, 6))
    expect(await names('log/b')).toEqual(keys.slice(1, 5))
    expect(await names('log/snap-')).toEqual(['log/snap-1'])
    expect(await names('log/', { startAfter: 'log/b-1', limit: 2 })).toEqual(['log/b.2', 'log/b/x'])
    expect(await names('log/', { startAfter: 'log/b-5' })).toEqual([
      'log/b.2',
      'log/b/x',
      'log/b/y',
      'log/snap-1',
    ])
    expect(await names('none/')).toEqual([])
    const [object] = await store.list('log/a')
    expect(Math.abs((object?.modifiedAt ?? 0) - Date.now())).toBeLessThan(60_000)
  })

  test('lists more than one page', async () => {
    const store = await fresh()
    const keys = Array.from({ length: 1100 }, (_, i) => `many/${String(i).padStart(5, '0')}`)
    for (let at = 0; at < keys.length; at += 50)
      await Promise.all(keys.slice(at, at + 50).map((key) => store.create(key, bytes('x'))))
    expect((await store.list('many/')).map((o) => o.key)).toEqual(keys)
    expect(await store.list('many/', { limit: 1050 })).toHaveLength(1050)
    await store.delete(keys)
    expect(await store.list('many/')).toEqual([])
  })

  test('deleting is idempotent and frees the key', async () => {
    const store = await fresh()
    await store.create('chk/1/a', bytes('a'))
    await store.create('chk/1/b', bytes('b'))
    await store.delete(['chk/1/a', 'chk/1/none', 'elsewhere/none'])
    await store.delete(['chk/1/a'])
    await store.delete([])
    expect((await store.list('')).map((o) => o.key)).toEqual(['chk/1/b'])
    expect(await store.create('chk/1/a', bytes('again'))).toBe('created')
  })

  test('a big object arrives whole, once, and is readable in ranges', async () => {
    const store = await fresh()
    const big = randomBytes(20 * MiB + 12_345)
    expect(await store.create('big', big)).toBe('created')
    expect(await store.create('big', randomBytes(17 * MiB))).toBe('exists')
    expect(Buffer.compare(await store.get('big'), big)).toBe(0)
    expect(
      Buffer.compare(
        await store.getRange('big', 8 * MiB - 2, 8 * MiB + 2),
        big.subarray(8 * MiB - 2, 8 * MiB + 2),
      ),
    ).toBe(0)
    const answers = await Promise.all(
      [0, 1, 2].map((i) => store.create('big-race', Buffer.alloc(17 * MiB, i))),
    )
    expect(answers.toSorted()).toEqual(['created', 'exists', 'exists'])
  })

  test('an aborted signal rejects with its reason', async () => {
    const store = await fresh()
    const reason = new Error('stopping')
    await expect(store.create('a', bytes('a'), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    await expect(store.get('a', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })

  test('keys that are not portable are refused', async () => {
    const store = await fresh()
    for (const key of ['', '/a', 'a/', 'a//b', '../a', 'a/./b', '.tmp/x', 'a b', 'ü'])
      await expect(store.create(key, bytes('x'))).rejects.toMatchObject({ code: 'BUG' })
  })

  test('carries a commit log: of two coordinators the older is fenced, and readers agree', async () => {
    const open = await empty()
    const old = await leadLog(open(), { leader: 'old' })
    const compaction = { afterRecords: 5, graceMs: 0 }
    const young = await leadLog(open(), { leader: 'young', compaction })
    await append(young.term, deployBody('2.1'))
    expect(await old.term.append(deployBody('1.1'))).toMatchObject({
      kind: 'over',
      error: { code: 'FENCED', context: { epoch: 2 } },
    })
    await append(young.term, checkpointBody(1, 2, '2.1'))
    await young.term.compactIfDue()
    await append(young.term, checkpointBody(2, 2, '2.1', { base: 1, retires: [1] }))
    expect((await open().list('log/snap-')).map((o) => o.key)).toEqual([logSnapshotKey(4)])
    expect((await openLog(open())).state).toEqual(young.term.state)
    const candidates = await Promise.all([0, 1, 2, 3].map(() => openLog(open())))
    const terms = await Promise.all(
      candidates.map((log, i) => log.openEpoch({ run: 1, leader: `jm-${i}`, floor: 1 })),
    )
    expect(terms.map((t) => t.epoch).toSorted()).toEqual([3, 4, 5, 6])
  })

  test('passes the probe and is left empty by it', async () => {
    const store = await fresh()
    await probeStore(store)
    expect(await store.list('')).toEqual([])
  })
})

/** Of a create of a new key; undefined when it was answered. */
async function firstFailure(store: CheckpointStore) {
  const start = performance.now()
  try {
    await store.create(`unanswered-${keys++}`, bytes('a'))
    return undefined
  } catch (error) {
    return { error, durationMs: performance.now() - start }
  }
}

describe('S3Store', () => {
  const store = (more: Partial<ConstructorParameters<typeof S3Store>[0]> = {}): S3Store =>
    new S3Store({ bucket: 'weir', root: `s3/${places++}`, access: s3.access, ...more })

  test('leaves no unfinished upload behind when a multipart create loses', async () => {
    const own = store()
    const big = Buffer.alloc(17 * MiB, 1)
    await own.create('big', big)
    await own.create('big', big)
    const client = createS3Client(s3.access)
    const uploads = await client.send(new ListMultipartUploadsCommand({ Bucket: 'weir' }))
    client.destroy()
    expect(uploads.Uploads ?? []).toEqual([])
  })

  test('wrong credentials are STO_DENIED, and are read again once the files change', async () => {
    const credentialsDir = join(directory.path, 'rotating')
    await mkdir(credentialsDir)
    await writeFile(join(credentialsDir, 'AWS_ACCESS_KEY_ID'), s3.accessKey)
    await writeFile(join(credentialsDir, 'AWS_SECRET_ACCESS_KEY'), 'wrong')
    const own = store({ access: { ...s3.access, credentialsDir } })
    await expect(own.list('')).rejects.toMatchObject({ code: 'STO_DENIED' })
    await expect(own.create('a', bytes('a'))).rejects.toMatchObject({ code: 'STO_DENIED' })
    await writeFile(join(credentialsDir, 'AWS_SECRET_ACCESS_KEY'), s3.secretKey)
    expect(await own.create('a', bytes('a'))).toBe('created')
  })

  test('missing credential files are all named', async () => {
    const own = store({ access: { ...s3.access, credentialsDir: join(directory.path, 'nowhere') } })
    await expect(own.get('a')).rejects.toMatchObject({ code: 'STO_DENIED' })
    await expect(own.get('a')).rejects.toThrow(
      /nowhere\/AWS_ACCESS_KEY_ID and .*nowhere\/AWS_SECRET_ACCESS_KEY/,
    )
  })

  test('a bucket that does not exist is STO_DENIED', async () => {
    await expect(store({ bucket: 'no-such-bucket' }).create('a', bytes('a'))).rejects.toMatchObject({
      code: 'STO_DENIED',
    })
  })

  test('a server that is away or hangs is STO_UNAVAILABLE within the deadline', async () => {
    const own = store({ requestTimeoutMs: 1000 })
    process.kill(s3.pid, 'SIGSTOP')
    try {
      // A server stops when it is scheduled next: until then it may still answer.
      const { error, durationMs } = await eventually(() => firstFailure(own), {
        what: 'a create that the stopped server does not answer',
        limitMs: 30_000,
      })
      expect(error).toMatchObject({ code: 'STO_UNAVAILABLE' })
      expect(durationMs).toBeLessThan(5000)
    } finally {
      process.kill(s3.pid, 'SIGCONT')
    }
    await s3.kill()
    await expect(own.get('a')).rejects.toMatchObject({ code: 'STO_UNAVAILABLE' })
    await s3.restart()
    expect(['created', 'exists']).toContain(await own.create('a', bytes('a')))
  })
})
