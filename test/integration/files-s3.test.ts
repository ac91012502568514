import { createHash } from 'node:crypto'
import { readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import {
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '#runtime/base/clock'
import type { FileSplit } from '#runtime/connectors/files/file-tree'
import { files, type ReadFilesOptions } from '#runtime/connectors/files/index'
import { SinkOperator } from '#runtime/operators/sink'
import { SourceDiscoverOperator } from '#runtime/operators/source-discover'
import { SourceReadOperator } from '#runtime/operators/source-read'
import { createS3Client } from '#runtime/storage/s3-client'
import { OperatorHarness, type HarnessState } from '#runtime/testing/operator-harness'
import { startS3, type S3Server } from '#tools/servers/s3'

let s3: S3Server
let client: ReturnType<typeof createS3Client>
let buckets = 0

beforeAll(async () => {
  s3 = await startS3()
  client = createS3Client(s3.access)
}, 600_000)
afterAll(async () => {
  client?.destroy()
  await s3?.stop()
})

const bucket = () => s3.bucket(`files-${++buckets}`)
const put = (Bucket: string, Key: string, Body: string) =>
  client.send(new PutObjectCommand({ Bucket, Key, Body }))
const keysOf = async (Bucket: string) =>
  ((await client.send(new ListObjectsV2Command({ Bucket }))).Contents ?? []).map((o) => o.Key as string)
const uploadsOf = async (Bucket: string) =>
  ((await client.send(new ListMultipartUploadsCommand({ Bucket }))).Uploads ?? []).length
const recordsOf = async (Bucket: string) => {
  const texts = await Promise.all(
    (await keysOf(Bucket)).map(
      async (Key) =>
        (await client.send(new GetObjectCommand({ Bucket, Key }))).Body?.transformToString() ?? '',
    ),
  )
  return texts.flatMap((t) => t.split('\n').filter((l) => l !== '')).map((l) => JSON.parse(l) as unknown)
}
/**
 * What versitygw leaves behind when it is killed while it completes the only upload of a bucket:
 * the upload is renamed, with the object's ETag, and the object is not there yet.
 */
async function leaveCompletionHalfway(bucketDirectory: string): Promise<void> {
  const { Uploads } = await client.send(
    new ListMultipartUploadsCommand({ Bucket: bucketDirectory.split('/').at(-1) as string }),
  )
  const { Key, UploadId } = Uploads?.[0] as { Key: string; UploadId: string }
  const { Parts } = await client.send(
    new ListPartsCommand({ Bucket: bucketDirectory.split('/').at(-1) as string, Key, UploadId }),
  )
  const digests = (Parts ?? []).map((part) => Buffer.from((part.ETag ?? '').replaceAll('"', ''), 'hex'))
  const etag = `${createHash('md5').update(Buffer.concat(digests)).digest('hex')}-${digests.length}`
  const [upload] = (await readdir(bucketDirectory, { recursive: true })).filter((path) =>
    path.endsWith(UploadId),
  )
  await rename(join(bucketDirectory, upload as string), join(bucketDirectory, `${upload}.${etag}.inprogress`))
}

const common = () => ({ clock: systemClock, s3: s3.access })
const discover = (path: string, options: ReadFilesOptions = {}, states: HarnessState[] = []) =>
  OperatorHarness.open<never, FileSplit>(
    { create: () => new SourceDiscoverOperator(files.lines(path, options)), ...common() },
    states,
  )
const read = (path: string, states: HarnessState[] = []) =>
  OperatorHarness.open<FileSplit, string>(
    { create: () => new SourceReadOperator(files.lines(path)), ...common() },
    states,
  )
const write = (path: string, states: HarnessState[] = [], place = {}) =>
  OperatorHarness.open<unknown, never>(
    { create: () => new SinkOperator(files.jsonl(path)), uid: 'out', ...common(), ...place },
    states,
  )

describe('files.lines() on S3', () => {
  test('reads a prefix or a glob, and goes on from a byte offset after a restore', async () => {
    const name = await bucket()
    const big = Array.from({ length: 60_000 }, (_, i) => `line ${i} ${'語'.repeat(i % 40)}`)
    await put(name, 'books/a.txt', 'a1\na2')
    await put(name, 'books/deep/b.txt', big.join('\n'))
    await put(name, 'books/.hidden/c.txt', 'hidden')
    await put(name, 'bookshop/d.txt', 'another')
    await using glob = await discover(`s3://${name}/books/*.txt`)
    await glob.pollAll()
    expect(glob.values.map((s) => s.path)).toEqual([`s3://${name}/books/a.txt`])
    const path = `s3://${name}/books/`
    await using all = await discover(path)
    await all.pollAll()
    await using first = await read(path)
    for (const split of all.values) first.send(split)
    await first.pollAll(() => first.output.length > 20_000)
    await using second = await read(path, [await first.snapshot(1)])
    await second.pollAll()
    expect([...first.values, ...second.values]).toEqual(['a1', 'a2', ...big])
  })

  test('an object that was replaced meanwhile is not mixed with the old one', async () => {
    const name = await bucket()
    await put(name, 'a', 'old old\n')
    await using found = await discover(`s3://${name}/`)
    await found.pollAll()
    await put(name, 'a', 'new new\n')
    await using reader = await read(`s3://${name}/`)
    for (const split of found.values) reader.send(split)
    await expect(reader.pollAll()).rejects.toThrow(`s3://${name}/a was replaced while it was being read`)
  })

  test('watching goes on where it was after a restore', async () => {
    const name = await bucket()
    await put(name, 'in/a', 'a\n')
    await using first = await discover(`s3://${name}/in/`, { watch: '10ms' })
    await first.pollAll(() => first.output.length === 1)
    const state = await first.snapshot(1)
    await put(name, 'in/b', 'b\n')
    await using second = await discover(`s3://${name}/in/`, { watch: '10ms' }, [state])
    await second.pollAll(() => second.output.length === 1)
    expect(second.values[0]?.path).toBe(`s3://${name}/in/b`)
  })

  test('without S3 settings it is refused with what to do', async () => {
    await expect(
      OperatorHarness.open({ create: () => new SourceDiscoverOperator(files.lines('s3://data/x')) }),
    ).rejects.toThrow('Cannot use s3://data/x: the job has no S3 settings')
  })

  test('a bucket that does not exist fails the task', async () => {
    await using found = await discover('s3://no-such-bucket-here/x')
    await expect(found.pollAll()).rejects.toMatchObject({ code: 'STO_DENIED' })
  })
})

describe('files.jsonl() to S3', () => {
  test('objects appear when their checkpoint commits, parts of many megabytes too', async () => {
    const name = await bucket()
    await using sink = await write(`s3://${name}/out/`)
    const records = Array.from({ length: 120_000 }, (_, n) => ({ n, text: 'x'.repeat(90) }))
    for (const record of records) sink.send(record)
    await sink.snapshot(1)
    expect(await keysOf(name)).toEqual([])
    await sink.complete(1)
    expect(await keysOf(name)).toEqual([expect.stringMatching(/^out\/part-0-1-1\.1-[0-9a-f]{12}\.jsonl$/)])
    expect(await recordsOf(name)).toEqual(records)
  })

  test('a restore commits what its checkpoint holds, repeatedly, and aborts what is dangling, only of this sink of this job', async () => {
    const name = await bucket()
    const path = `s3://${name}/out/`
    await using other = await write(path, [], { jobUid: 'another-job' })
    other.send('theirs')
    await other.snapshot(1)
    const first = await write(path)
    first.send(1)
    const state = await first.snapshot(1)
    first.send(2)
    await first.snapshot(2)
    expect(await uploadsOf(name)).toBe(3)
    await using second = await write(path, [state], { attempt: '1.2' })
    expect(await recordsOf(name)).toEqual([1])
    expect(await uploadsOf(name)).toBe(1)
    await using third = await write(path, [state], { attempt: '1.3' })
    await other.complete(1)
    expect((await recordsOf(name)).map(String).toSorted()).toEqual(['1', 'theirs'])
    expect([...second.failures, ...third.failures]).toEqual([])
  })

  test('an upload that somebody removed is an error, never silent', async () => {
    const name = await bucket()
    const path = `s3://${name}/out/`
    const first = await write(path)
    first.send(1)
    const state = await first.snapshot(1)
    // A later attempt that does not know of the checkpoint takes the upload for dangling.
    await (await write(path, [], { attempt: '1.2' })).close()
    await expect(write(path, [state], { attempt: '1.3' })).rejects.toMatchObject({ code: 'CKP_COMMIT_LOST' })
  })

  test('an upload that the server calls completed without there being an object is an error, never silent', async () => {
    const name = await bucket()
    const path = `s3://${name}/out/`
    const first = await write(path)
    first.send(1)
    const state = await first.snapshot(1)
    await leaveCompletionHalfway(join(s3.dir, name))
    await expect(write(path, [state], { attempt: '1.2' })).rejects.toMatchObject({ code: 'CKP_COMMIT_LOST' })
    expect(await keysOf(name)).toEqual([])
  })

  test('closing aborts what no checkpoint holds', async () => {
    const name = await bucket()
    const sink = await write(`s3://${name}/out/`)
    for (let i = 0; i < 100; i++) sink.send('x'.repeat(100_000))
    await sink.close()
    expect([await keysOf(name), await uploadsOf(name)]).toEqual([[], 0])
  })
})
