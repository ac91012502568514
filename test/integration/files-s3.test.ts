import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
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
import { SystemAccess } from '#runtime/storage/connector-access'
import { createS3Client } from '#runtime/storage/s3-client'
import { OperatorHarness, type HarnessState } from '#runtime/testing/operator-harness'
import { eventually } from '#tools/servers/eventually'
import { startS3, type S3Server } from '#tools/servers/s3'

let s3: S3Server
let client: ReturnType<typeof createS3Client>
let access: SystemAccess
let buckets = 0

beforeAll(async () => {
  s3 = await startS3()
  client = createS3Client(s3.access)
  access = new SystemAccess(s3.access, systemClock)
}, 600_000)
afterAll(async () => {
  client?.destroy()
  access?.close()
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
const common = () => ({ clock: systemClock, access })
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
    ).rejects.toThrow('Cannot use s3://data: the job has no S3 settings')
  })

  test('a bucket that does not exist fails the task', async () => {
    await using found = await discover('s3://no-such-bucket-here/x')
    await expect(found.pollAll()).rejects.toMatchObject({ code: 'STO_DENIED' })
  })
})

describe('files.jsonl() to S3', () => {
  const visibleIn = async (name: string) =>
    (await keysOf(name)).filter((key) => !key.split('/').some((part) => part.startsWith('.')))
  const stagedIn = async (name: string) => (await keysOf(name)).filter((key) => key.includes('/.weir-'))
  /** More than one part of an upload. */
  const large = Array.from({ length: 120_000 }, (_, n) => ({ n, text: 'x'.repeat(90) }))

  test.each([
    ['in one request', [{ n: 1 }, { n: 2 }]],
    ['in parts', large],
  ])('objects appear when their checkpoint commits, written %s', async (_, records) => {
    const name = await bucket()
    await using sink = await write(`s3://${name}/out/`)
    for (const record of records) sink.send(record)
    await sink.snapshot(1)
    expect([await visibleIn(name), await uploadsOf(name)]).toEqual([[], 0])
    await sink.complete(1)
    expect(await keysOf(name)).toEqual([expect.stringMatching(/^out\/part-0-0-1\.1-[0-9a-f]{12}\.jsonl$/)])
    expect(await recordsOf(name)).toEqual(records)
  })

  test('prefixes of any characters', async () => {
    const name = await bucket()
    for (const prefix of ['', 'a b/ü+%/']) {
      await using sink = await write(`s3://${name}/${prefix}`)
      sink.send(1)
      await sink.snapshot(1)
      await sink.complete(1)
    }
    expect((await keysOf(name)).map((key) => key.split('part-')[0])).toEqual(['a b/ü+%/', ''])
    expect(await recordsOf(name)).toEqual([1, 1])
  })

  test('what is prepared is no input: files.lines() does not see it', async () => {
    const name = await bucket()
    const path = `s3://${name}/out/`
    await using sink = await write(path)
    sink.send('committed')
    await sink.snapshot(1)
    await sink.complete(1)
    sink.send('prepared')
    await sink.snapshot(2)
    expect(await stagedIn(name)).toHaveLength(1)
    await using found = await discover(path)
    await found.pollAll()
    expect(found.values.map((s) => s.path)).toEqual([expect.stringContaining('/out/part-0-0-1.1-')])
  })

  test('repeated restores commit what the checkpoint holds and remove what is dangling', async () => {
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
    for (const record of large) first.send(record)
    await eventually(async () => (await uploadsOf(name)) === 1, { limitMs: 10_000, what: 'an upload' })
    expect(await stagedIn(name)).toHaveLength(3)
    await using second = await write(path, [state], { attempt: '1.2' })
    expect(await visibleIn(name)).toHaveLength(1)
    expect([(await stagedIn(name)).length, await uploadsOf(name)]).toEqual([1, 0])
    await using third = await write(path, [state], { attempt: '1.3' })
    await other.complete(1)
    expect((await recordsOf(name)).map(String).toSorted()).toEqual(['1', 'theirs'])
    expect([...second.failures, ...third.failures]).toEqual([])
  })

  test('a sink that has another name now removes what it left dangling under the old one', async () => {
    const name = await bucket()
    const path = `s3://${name}/out/`
    const first = await write(path)
    first.send(1)
    await first.snapshot(1)
    for (const record of large) first.send(record)
    await eventually(async () => (await uploadsOf(name)) === 1, { limitMs: 10_000, what: 'an upload' })
    await using renamed = await write(path, [], { uid: 'lake', formerly: ['out'], attempt: '1.2' })
    expect([(await stagedIn(name)).length, await uploadsOf(name), renamed.failures]).toEqual([0, 0, []])
  })

  test('committed output that readers have taken away does not come back, and fails nothing', async () => {
    const name = await bucket()
    const path = `s3://${name}/out/`
    const first = await write(path)
    first.send(1)
    const state = await first.snapshot(1)
    await (await write(path, [state], { attempt: '1.2' })).close()
    for (const Key of await visibleIn(name)) await client.send(new DeleteObjectCommand({ Bucket: name, Key }))
    await using again = await write(path, [state], { attempt: '1.3' })
    expect([await keysOf(name), again.counters.skippedCommits]).toEqual([[], 1])
  })

  test('an object of somebody else that has the key is not replaced', async () => {
    const name = await bucket()
    const first = await write(`s3://${name}/out/`)
    first.send(1)
    const state = await first.snapshot(1)
    const id = /\.weir-([0-9a-f]+)\//.exec((await stagedIn(name))[0] as string)?.[1]
    await put(name, `out/part-0-0-1.1-${id}.jsonl`, 'precious')
    await expect(write(`s3://${name}/out/`, [state], { attempt: '1.2' })).rejects.toMatchObject({
      code: 'STO_EXISTS',
    })
  })

  test('closing aborts what no checkpoint holds', async () => {
    const name = await bucket()
    const sink = await write(`s3://${name}/out/`)
    for (const record of large) sink.send(record)
    await sink.close()
    expect([await keysOf(name), await uploadsOf(name)]).toEqual([[], 0])
  })
})
