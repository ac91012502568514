import { createHash, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '#runtime/base/clock'
import type { BucketObject } from '#runtime/storage/bucket'
import { S3Objects } from '#runtime/storage/s3-objects'
import { startS3, type S3Server } from '#tools/servers/s3'

const MIB = 1024 * 1024
let s3: S3Server
let bucket: S3Objects

beforeAll(async () => {
  s3 = await startS3()
  bucket = new S3Objects(await s3.bucket('objects'), s3.access, systemClock, { copyPartBytes: 5 * MIB })
}, 600_000)
afterAll(async () => {
  bucket?.close()
  await s3?.stop()
})

async function contentOf(key: string): Promise<Buffer> {
  const { sizeBytes } = (await bucket.head(key)) as BucketObject
  return Buffer.from(await bucket.getRange(key, 0, sizeBytes, undefined))
}

describe('S3Objects', () => {
  test('an object is there once it was put, with its size, and gone once it was removed', async () => {
    expect(await bucket.head('a/b')).toBeUndefined()
    await bucket.put('a/b', Buffer.from('one'))
    await bucket.put('a/b', Buffer.from('two!'))
    expect(await bucket.head('a/b')).toMatchObject({ key: 'a/b', sizeBytes: 4 })
    expect(await bucket.list('a/')).toMatchObject([{ key: 'a/b', sizeBytes: 4 }])
    for (let repeated = 0; repeated < 2; repeated++) await bucket.remove('a/b')
    expect([await bucket.head('a/b'), await bucket.list('a/')]).toEqual([undefined, []])
  })

  test.each([
    ['at once', 1000],
    ['in parts', 12 * MIB],
  ])('copies %s, replacing what was there', async (_, sizeBytes) => {
    const [from, to] = [`from ü+%/${sizeBytes}`, `to/${sizeBytes}`]
    const bytes = randomBytes(sizeBytes)
    await bucket.put(from, bytes)
    await bucket.put(to, Buffer.from('old'))
    expect(await bucket.copy({ key: from, sizeBytes }, to)).toBe('copied')
    const digest = (content: Buffer): string => createHash('sha256').update(content).digest('hex')
    expect(digest(await contentOf(to))).toBe(digest(bytes))
    expect(await bucket.listUploads('')).toEqual([])
  })

  test.each([1000, 12 * MIB])('says that there is nothing to copy (%s bytes)', async (sizeBytes) => {
    expect(await bucket.copy({ key: 'no/such', sizeBytes }, 'copy')).toBe('missing')
    expect([await bucket.head('copy'), await bucket.listUploads('')]).toEqual([undefined, []])
  })

  test('an upload is invisible until it is completed, and unknown after that', async () => {
    const upload = await bucket.startUpload('up/loaded')
    const parts = [await bucket.uploadPart(upload, 1, Buffer.from('content'))]
    expect([await bucket.head('up/loaded'), await bucket.listUploads('up/')]).toEqual([undefined, [upload]])
    expect(await bucket.completeUpload(upload, parts)).toBe('completed')
    expect((await contentOf('up/loaded')).toString()).toBe('content')
    await bucket.abortUpload(upload)
    expect((await contentOf('up/loaded')).toString()).toBe('content')
  })

  test('an upload that was aborted cannot be completed', async () => {
    const upload = await bucket.startUpload('up/aborted')
    const parts = [await bucket.uploadPart(upload, 1, Buffer.from('content'))]
    for (let repeated = 0; repeated < 2; repeated++) await bucket.abortUpload(upload)
    expect(await bucket.completeUpload(upload, parts)).toBe('missing')
    expect(await bucket.head('up/aborted')).toBeUndefined()
  })

  test('a bucket that does not exist is refused', async () => {
    const none = new S3Objects('no-such-bucket', s3.access, systemClock)
    const upload = { key: 'a', uploadId: 'b' }
    for (const call of [
      () => none.list(''),
      () => none.put('a', Buffer.from('a')),
      () => none.copy({ key: 'a', sizeBytes: 1 }, 'b'),
      () => none.startUpload('a'),
      () => none.abortUpload(upload),
      () => none.listUploads(''),
    ])
      await expect(call()).rejects.toMatchObject({ code: 'STO_DENIED' })
    none.close()
  })
})
