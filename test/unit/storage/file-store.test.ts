import { chmod, chown, mkdir, open, readdir, stat, unlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { FileStore } from '#runtime/storage/file-store'
import { type TempDir, tempDir } from '#tools/servers/temp-dir'

let directory: TempDir
let root: string
beforeEach(async () => {
  directory = await tempDir('file-store')
  root = join(directory.path, 'root')
})
afterEach(() => directory.remove())

test('leaves no temporary file behind, won or lost', async () => {
  const store = new FileStore(root)
  await store.create('log/1.json', Buffer.from('a'))
  await store.create('log/1.json', Buffer.from('b'))
  expect(await readdir(join(root, '.tmp'))).toEqual([])
  expect((await stat(join(root, 'log/1.json'))).nlink).toBe(1)
})

test('removes the temporary files of crashed processes after an hour, and only those', async () => {
  await mkdir(join(root, '.tmp'), { recursive: true })
  await writeFile(join(root, '.tmp/old'), 'x')
  await writeFile(join(root, '.tmp/young'), 'x')
  const twoHoursAgo = Date.now() / 1000 - 7200
  await utimes(join(root, '.tmp/old'), twoHoursAgo, twoHoursAgo)
  await new FileStore(root).create('a', Buffer.from('a'))
  expect(await readdir(join(root, '.tmp'))).toEqual(['young'])
})

test('deleting the last object of a directory removes the directory, not the root', async () => {
  const store = new FileStore(root)
  await store.create('chk/1-1/a.state', Buffer.from('a'))
  await store.delete(['chk/1-1/a.state'])
  expect(await readdir(root)).toEqual(['.tmp'])
})

test('a file where a directory is needed is said clearly', async () => {
  const store = new FileStore(root)
  await store.create('log', Buffer.from('a'))
  await expect(store.create('log/1.json', Buffer.from('b'))).rejects.toMatchObject({ code: 'STO_CORRUPT' })
  await expect(store.create('log/1.json', Buffer.from('b'))).rejects.toThrow(
    /a file and a directory want the same name/,
  )
})

/** Permissions do not bind root: acts as nobody there. */
async function asNobody(work: () => Promise<void>): Promise<void> {
  const isRoot = process.geteuid?.() === 0
  if (isRoot) process.seteuid?.(NOBODY)
  try {
    await work()
  } finally {
    if (isRoot) process.seteuid?.(0)
  }
}
const NOBODY = 65_534

test('a root without permission is STO_DENIED and says what to do', async () => {
  await mkdir(root, { mode: 0o500 })
  await asNobody(async () => {
    const refused = new FileStore(join(root, 'job')).create('a', Buffer.from('a'))
    await expect(refused).rejects.toMatchObject({ code: 'STO_DENIED' })
    await expect(refused).rejects.toThrow(/permission denied. Give this user read and write access/)
  })
})

describe('an object whose directory cannot be synced', () => {
  /** Directories in which names can be made, and which cannot be opened to be synced. */
  async function unsyncable(path: string, work: (mend: () => Promise<void>) => Promise<void>) {
    await chmod(directory.path, 0o755)
    for (const at of [root, join(root, 'log')]) await mkdir(at)
    if (process.geteuid?.() === 0) for (const at of [root, join(root, 'log')]) await chown(at, NOBODY, NOBODY)
    await chmod(path, 0o300)
    const mend = () => chmod(path, 0o700)
    await asNobody(() => work(mend))
    await mend()
  }
  const inDoubt = expect.objectContaining({ code: 'STO_UNAVAILABLE' })

  test('is no refusal: its outcome is unknown, and it is not read before it is durable', async () => {
    await unsyncable(join(root, 'log'), async (mend) => {
      const store = new FileStore(root)
      await expect(store.create('log/1.json', Buffer.from('a'))).rejects.toEqual(inDoubt)
      await expect(store.get('log/1.json')).rejects.toEqual(inDoubt)
      await expect(store.getRange('log/1.json', 0, 1)).rejects.toEqual(inDoubt)
      await mend()
      expect(Buffer.from(await store.get('log/1.json')).toString()).toBe('a')
      expect(await store.list('log/')).toMatchObject([{ key: 'log/1.json' }])
    })
  })

  test('does not count as existing, whoever made it', async () => {
    await unsyncable(join(root, 'log'), async (mend) => {
      await expect(new FileStore(root).create('log/1.json', Buffer.from('a'))).rejects.toEqual(inDoubt)
      const other = new FileStore(root)
      await expect(other.create('log/1.json', Buffer.from('b'))).rejects.toEqual(inDoubt)
      await mend()
      expect(await other.create('log/1.json', Buffer.from('b'))).toBe('exists')
    })
  })

  test('is missing, not in doubt, once it was deleted', async () => {
    await unsyncable(join(root, 'log'), async () => {
      const store = new FileStore(root)
      await expect(store.create('log/1.json', Buffer.from('a'))).rejects.toEqual(inDoubt)
      await unlink(join(root, 'log/1.json'))
      await expect(store.get('log/1.json')).rejects.toMatchObject({ code: 'STO_MISSING' })
    })
  })

  test('is not made in a directory whose own entry cannot be synced, however often it is tried', async () => {
    await unsyncable(root, async (mend) => {
      const store = new FileStore(root)
      for (let tries = 0; tries < 2; tries++)
        await expect(store.create('chk/1', Buffer.from('a'))).rejects.toMatchObject({ code: 'STO_DENIED' })
      await mend()
      expect(await store.create('chk/1', Buffer.from('a'))).toBe('created')
    })
  })
})

test('an empty or absent root lists nothing', async () => {
  expect(await new FileStore(join(root, 'absent')).list('')).toEqual([])
})

test('gives a file of more than one read whole', async () => {
  const store = new FileStore(root)
  await mkdir(root)
  const size = 64 * 1024 * 1024 + 3
  const file = await open(join(root, 'large'), 'w')
  await file.write('abc', size - 3)
  await file.close()
  const bytes = await store.get('large')
  expect(bytes.byteLength).toBe(size)
  expect(Buffer.from(bytes.subarray(-4)).toString()).toBe('\0abc')
})

test('a read that is given up rejects with the reason', async () => {
  const store = new FileStore(root)
  await store.create('a', Buffer.from('a'))
  const reason = new Error('cancelled')
  const abort = new AbortController()
  const reading = store.get('a', { signal: abort.signal })
  abort.abort(reason)
  await expect(reading).rejects.toBe(reason)
})
