import {
  appendFile,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { WeirError } from '#runtime/base/errors'
import { systemClock } from '#runtime/base/clock'
import type { FileSplit } from '#runtime/connectors/files/file-tree'
import { files, type ReadFilesOptions } from '#runtime/connectors/files/index'
import { SinkOperator } from '#runtime/operators/sink'
import { SourceDiscoverOperator } from '#runtime/operators/source-discover'
import { SourceReadOperator } from '#runtime/operators/source-read'
import { OperatorHarness, type HarnessState } from '#runtime/testing/operator-harness'
import { tempDir } from '#tools/servers/temp-dir'

const discover = (path: string, options: ReadFilesOptions = {}, states: HarnessState[] = []) =>
  OperatorHarness.open<never, FileSplit>(
    { create: () => new SourceDiscoverOperator(files.lines(path, options)), clock: systemClock },
    states,
  )
const read = (path: string, options: ReadFilesOptions = {}, states: HarnessState[] = [], place = {}) =>
  OperatorHarness.open<FileSplit, string>(
    { create: () => new SourceReadOperator(files.lines(path, options)), clock: systemClock, ...place },
    states,
  )

/** All lines of a path, as a job of one subtask reads them. */
async function linesOf(path: string, options: ReadFilesOptions = {}): Promise<string[]> {
  await using discovery = await discover(path, options)
  await discovery.pollAll()
  await using reader = await read(path, options)
  for (const split of discovery.values) reader.send(split)
  await reader.pollAll()
  return reader.values
}

describe('files.lines() on local files', () => {
  test('reads a file, a directory with all below it, or a glob, in the order of the paths', async () => {
    await using dir = await tempDir('files')
    await mkdir(join(dir.path, 'b/deep'), { recursive: true })
    await writeFile(join(dir.path, 'a.txt'), 'a1\na2\n')
    await writeFile(join(dir.path, 'b/deep/c.md'), 'c1\r\nc2')
    await writeFile(join(dir.path, 'b/empty.txt'), '')
    await writeFile(join(dir.path, '.weir-x.inprogress'), 'hidden\n')
    await symlink(join(dir.path, 'a.txt'), join(dir.path, 'b/link.txt'))
    expect(await linesOf(join(dir.path, 'a.txt'))).toEqual(['a1', 'a2'])
    expect(await linesOf(dir.path)).toEqual(['a1', 'a2', 'c1', 'c2', 'a1', 'a2'])
    expect(await linesOf(`${dir.path}/**/*.md`)).toEqual(['c1', 'c2'])
    expect(await linesOf(`${dir.path}/*.none`)).toEqual([])
  })

  test('goes on from the byte offset after a restore at any poll, at another parallelism', async () => {
    await using dir = await tempDir('files')
    const expected: string[] = []
    for (const name of ['a', 'b', 'c', 'd']) {
      const lines = Array.from({ length: 1500 }, (_, i) => `${name} ${i} ${'ü'.repeat(i % 7)}`)
      expected.push(...lines)
      await writeFile(join(dir.path, name), lines.join('\n'))
    }
    await using discovery = await discover(dir.path)
    await discovery.pollAll()
    for (let polls = 0; polls < 9; polls++) {
      await using first = await read(dir.path)
      for (const split of discovery.values) first.send(split)
      let done = 0
      await first.pollAll(() => done++ >= polls * 2)
      const state = await first.snapshot(1)
      const rest: string[] = []
      for (const subtask of [0, 1, 2]) {
        await using second = await read(dir.path, {}, [state], { subtask, parallelism: 3 })
        await second.pollAll()
        rest.push(...second.values)
      }
      expect([...first.values, ...rest].toSorted()).toEqual(expected.toSorted())
    }
  })

  test('files larger than a chunk', async () => {
    await using dir = await tempDir('files')
    const lines = Array.from({ length: 20_000 }, (_, i) => `line ${i} ${'語'.repeat(i % 50)}`)
    await writeFile(join(dir.path, 'big'), lines.join('\n') + '\n')
    expect(await linesOf(dir.path)).toEqual(lines)
  })

  test('watching finds files that come later, each once, also across a restore', async () => {
    await using dir = await tempDir('files')
    const inbox = join(dir.path, 'in')
    const drop = async (name: string) => {
      await writeFile(join(dir.path, name), `${name}\n`)
      await rename(join(dir.path, name), join(inbox, name))
    }
    await using first = await discover(inbox, { watch: '10ms' })
    first.poll()
    await first.woken()
    expect(first.counters.waiting?.message).toMatch(
      /^a first file for files\.lines\(.*\/in\): nothing is there/,
    )
    await mkdir(inbox)
    await drop('a')
    await first.pollAll(() => first.output.length === 1)
    expect(first.counters.waiting).toBeUndefined()
    await drop('b')
    await first.pollAll(() => first.output.length === 2)
    const state = await first.snapshot(1)
    await drop('c')
    await using second = await discover(inbox, { watch: '10ms' }, [state])
    await second.pollAll(() => second.output.length === 1)
    expect([...first.values, ...second.values].map((s) => s.path.split('/').at(-1))).toEqual(['a', 'b', 'c'])
  })

  test('what grows after it was found is read as it was found', async () => {
    await using dir = await tempDir('files')
    const path = join(dir.path, 'a')
    await writeFile(path, 'one\ntwo\n')
    await using discovery = await discover(path)
    await discovery.pollAll()
    await appendFile(path, 'three\n')
    await using reader = await read(path)
    for (const split of discovery.values) reader.send(split)
    await reader.pollAll()
    expect(reader.values).toEqual(['one', 'two'])
  })

  test.each([
    ['shrinks', (path: string) => truncate(path, 2), /had 8 bytes when it was found and has only 2 now/],
    ['goes', (path: string) => rm(path), /is gone now/],
  ])('a file that %s fails the task', async (_, change, message) => {
    await using dir = await tempDir('files')
    const path = join(dir.path, 'a')
    await writeFile(path, 'one\ntwo\n')
    await using discovery = await discover(path)
    await discovery.pollAll()
    await change(path)
    await using reader = await read(path)
    for (const split of discovery.values) reader.send(split)
    await expect(reader.pollAll()).rejects.toThrow(message)
  })

  test('a path that does not exist is refused', async () => {
    await expect(linesOf('/no/such/place')).rejects.toThrow(
      '/no/such/place does not exist: there is no /no/such/place here. Expected a file or directory',
    )
  })

  test('lines that are too long fail the job, or are skipped and counted', async () => {
    await using dir = await tempDir('files')
    await writeFile(join(dir.path, 'a'), `ok\n${'x'.repeat(100)}\nfine\n`)
    await expect(linesOf(dir.path, { maxLineBytes: 10 })).rejects.toThrow(
      /a, line 2: it is longer than 10 bytes in "x+"\. Correct the file; or read with onBadLine: 'skip'/,
    )
    expect(await linesOf(dir.path, { maxLineBytes: 10, onBadLine: 'skip' })).toEqual(['ok', 'fine'])
  })
})

describe('files.jsonl() to local files', () => {
  const open = (path: string, states: HarnessState[] = [], place = {}) =>
    OperatorHarness.open<unknown, never>(
      { create: () => new SinkOperator(files.jsonl(path)), clock: systemClock, uid: 'out', ...place },
      states,
    )
  const visible = async (path: string) => {
    const names = (await readdir(path)).filter((n) => !n.startsWith('.'))
    const texts = await Promise.all(names.map((n) => readFile(join(path, n), 'utf8')))
    return texts.flatMap((t) => t.split('\n').filter((l) => l !== '')).map((l) => JSON.parse(l) as unknown)
  }
  const hidden = async (path: string) => (await readdir(path)).filter((n) => n.endsWith('.inprogress'))
  const markers = async (path: string) => (await readdir(path)).filter((n) => n.endsWith('.marker'))

  test('a file appears when its checkpoint commits, whole', async () => {
    await using dir = await tempDir('files')
    const out = join(dir.path, 'deep/out')
    await using sink = await open(out)
    sink.send({ key: 'a', count: 1 })
    sink.send('b')
    await sink.snapshot(1)
    sink.send('c')
    expect(await visible(out)).toEqual([])
    await sink.complete(1)
    expect(await visible(out)).toEqual([{ key: 'a', count: 1 }, 'b'])
    expect((await readdir(out)).filter((n) => !n.startsWith('.'))).toEqual([
      expect.stringMatching(/^part-0-0-1\.1-[0-9a-f]{12}\.jsonl$/),
    ])
    await sink.snapshot(2)
    await sink.complete(2)
    expect((await visible(out)).toSorted()).toHaveLength(3)
    expect(await hidden(out)).toEqual([])
  })

  test('a checkpoint without records makes no file', async () => {
    await using dir = await tempDir('files')
    await using sink = await open(dir.path)
    await sink.snapshot(1)
    await sink.complete(1)
    expect(await readdir(dir.path)).toEqual([])
  })

  test('a restore commits what its checkpoint holds and removes only its own dangling files', async () => {
    await using dir = await tempDir('files')
    await using other = await open(dir.path, [], { jobUid: 'another-job' })
    await using sibling = await open(dir.path, [], { uid: 'other-sink' })
    for (const sink of [other, sibling]) {
      sink.send('theirs')
      await sink.snapshot(1)
    }
    const first = await open(dir.path)
    first.send(1)
    const state = await first.snapshot(1)
    first.send(2)
    await first.snapshot(2)
    expect(await hidden(dir.path)).toHaveLength(4)
    await using second = await open(dir.path, [state], { attempt: '1.2' })
    expect(await visible(dir.path)).toEqual([1])
    expect(await hidden(dir.path)).toHaveLength(2)
    second.send(2)
    await second.snapshot(2)
    await second.complete(2)
    for (const sink of [other, sibling]) await sink.complete(1)
    expect((await visible(dir.path)).map(String).toSorted()).toEqual(['1', '2', 'theirs', 'theirs'])
    // The same restore again, as after a crash right behind the commit.
    await using third = await open(dir.path, [state], { attempt: '2.1' })
    expect(third.failures).toEqual([])
    expect(await visible(dir.path)).toHaveLength(4)
  })

  test('a sink that has another name now removes what it left dangling under the old one', async () => {
    await using dir = await tempDir('files')
    const first = await open(dir.path)
    const other = await open(dir.path, [], { uid: 'other-sink' })
    for (const sink of [first, other]) {
      sink.send(1)
      await sink.snapshot(1)
    }
    expect(await hidden(dir.path)).toHaveLength(2)
    await using renamed = await open(dir.path, [], { uid: 'lake', formerly: ['out'], attempt: '1.2' })
    expect(await hidden(dir.path)).toHaveLength(1)
    await other.complete(1)
    expect(await visible(dir.path)).toEqual([1])
    expect(renamed.failures).toEqual([])
  })

  test('a zombie of an older attempt removes nothing of a newer one', async () => {
    await using dir = await tempDir('files')
    await using newer = await open(dir.path, [], { attempt: '2.1' })
    newer.send(1)
    await newer.snapshot(1)
    await using zombie = await open(dir.path, [], { attempt: '1.9' })
    await newer.complete(1)
    expect(await visible(dir.path)).toEqual([1])
    expect(zombie.failures).toEqual([])
  })

  /** A checkpoint that holds one file, not committed yet. */
  const prepared = async (path: string): Promise<HarnessState> => {
    const sink = await open(path)
    sink.send(1)
    return sink.snapshot(1)
  }

  test('committed output that readers have taken away does not come back, and fails nothing', async () => {
    await using dir = await tempDir('files')
    const state = await prepared(dir.path)
    await using _ = await open(dir.path, [state], { attempt: '1.2' })
    for (const name of await readdir(dir.path))
      if (!name.startsWith('.')) await rename(join(dir.path, name), join(dir.path, '.taken'))
    await using again = await open(dir.path, [state], { attempt: '1.3' })
    expect(await visible(dir.path)).toEqual([])
    expect([again.failures, again.counters.skippedCommits]).toEqual([[], 1])
  })

  test.each([
    ['another machine has the same path', (path: string) => mkdir(path)],
    [
      'the directory was made anew',
      async (path: string) => {
        const other = await open(path, [], { attempt: '1.2' })
        other.send(2)
        await other.snapshot(2)
      },
    ],
  ])('output that was never committed and is gone is an error: %s', async (_, makeAnew) => {
    await using dir = await tempDir('files')
    const out = join(dir.path, 'out')
    const state = await prepared(out)
    await rm(out, { recursive: true })
    await makeAnew(out)
    const error: unknown = await open(out, [state], { attempt: '1.3' }).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(WeirError)
    expect(error).toMatchObject({ code: 'CKP_COMMIT_LOST', retry: 'never' })
    expect((error as WeirError).message).toContain('one of the same path on another machine')
  })

  test('a file of somebody else that has the name is not replaced', async () => {
    await using dir = await tempDir('files')
    const state = await prepared(dir.path)
    const [name] = await hidden(dir.path)
    const id = (name as string).split('-')[1] as string
    await writeFile(join(dir.path, `part-0-0-1.1-${id}.jsonl`), '"precious"\n')
    await expect(open(dir.path, [state], { attempt: '1.2' })).rejects.toMatchObject({ code: 'STO_EXISTS' })
    expect(await visible(dir.path)).toEqual(['precious'])
  })

  test('a directory is marked once, with whose output it holds', async () => {
    await using dir = await tempDir('files')
    for (const subtask of [0, 1]) {
      const sink = await open(dir.path, [], { subtask, parallelism: 2 })
      for (const id of [1, 2]) {
        sink.send(id)
        await sink.snapshot(id)
        await sink.complete(id)
      }
    }
    const [marker, ...others] = await markers(dir.path)
    expect(others).toEqual([])
    expect(JSON.parse(await readFile(join(dir.path, marker as string), 'utf8'))).toEqual({
      job: 'job-uid',
      sink: 'out',
    })
  })

  test('many records go to disk in the background, in order', async () => {
    await using dir = await tempDir('files')
    await using sink = await open(dir.path)
    const records = Array.from({ length: 50_000 }, (_, n) => ({ n, text: 'x'.repeat(40) }))
    for (const record of records) sink.send(record)
    await sink.snapshot(1)
    await sink.complete(1)
    expect(await visible(dir.path)).toEqual(records)
  })

  test('closing removes what no checkpoint holds', async () => {
    await using dir = await tempDir('files')
    const sink = await open(dir.path)
    sink.send('x'.repeat(300_000))
    await sink.close()
    expect(await readdir(dir.path)).toEqual(await markers(dir.path))
  })

  test('refuses what JSON cannot express', async () => {
    await using dir = await tempDir('files')
    await using sink = await open(dir.path)
    expect(() => sink.send(undefined)).toThrow('JSON cannot express undefined. Map the record to JSON')
  })

  test('a directory that cannot be is refused', async () => {
    await using dir = await tempDir('files')
    await writeFile(join(dir.path, 'file'), '')
    await expect(open(join(dir.path, 'file/out'))).rejects.toMatchObject({ code: 'STO_DENIED' })
  })
})
