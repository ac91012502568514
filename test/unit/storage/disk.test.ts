import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { nodeDisk, type DiskEntry } from '#runtime/storage/disk'
import { tempDir } from '#tools/servers/temp-dir'

const byName = (a: DiskEntry, b: DiskEntry): number => (a.name < b.name ? -1 : 1)

describe('nodeDisk', () => {
  test('lists and looks; links are followed by a look only', async () => {
    await using dir = await tempDir('disk')
    await mkdir(join(dir.path, 'sub'))
    await writeFile(join(dir.path, 'file'), 'four')
    await symlink(join(dir.path, 'file'), join(dir.path, 'link'))
    expect((await nodeDisk.list(dir.path)).sort(byName)).toEqual([
      { name: 'file', kind: 'file' },
      { name: 'link', kind: 'other' },
      { name: 'sub', kind: 'directory' },
    ])
    expect(await nodeDisk.stat(join(dir.path, 'link'))).toEqual({ kind: 'file', sizeBytes: 4 })
    expect(await nodeDisk.stat(join(dir.path, 'sub'))).toMatchObject({ kind: 'directory' })
    for (const nothing of ['none', 'file/none'])
      expect(await nodeDisk.stat(join(dir.path, nothing))).toBeUndefined()
  })

  test('a file is made once, written, moved, read in ranges, removed', async () => {
    await using dir = await tempDir('disk')
    const [a, b] = [join(dir.path, 'x/y/a'), join(dir.path, 'x/y/b')]
    await nodeDisk.makeDirectory(join(dir.path, 'x/y'))
    await nodeDisk.makeDirectory(join(dir.path, 'x/y'))
    const writer = await nodeDisk.create(a)
    await writer.append(Buffer.from('01234'))
    await writer.append(Buffer.from('56789'))
    await writer.sync()
    await writer.close()
    await writer.close()
    await expect(nodeDisk.create(a)).rejects.toMatchObject({ code: 'STO_EXISTS' })
    await nodeDisk.rename(a, b)
    await nodeDisk.syncDirectory(join(dir.path, 'x/y'))
    const reader = await nodeDisk.open(b)
    expect(Buffer.from(await reader.read(2, 5)).toString()).toBe('234')
    expect(Buffer.from(await reader.read(8, 20)).toString()).toBe('89')
    await reader.close()
    await nodeDisk.remove(b)
    await nodeDisk.remove(b)
    expect(await nodeDisk.list(join(dir.path, 'x/y'))).toEqual([])
  })

  test('says what is missing, or in the way', async () => {
    await using dir = await tempDir('disk')
    const path = (name: string): string => join(dir.path, name)
    await writeFile(path('file'), 'content')
    const refused: [() => Promise<unknown>, string, string][] = [
      [() => nodeDisk.open(path('none')), 'STO_MISSING', path('none')],
      [() => nodeDisk.list(path('none')), 'STO_MISSING', path('none')],
      [() => nodeDisk.create(path('none/file')), 'STO_MISSING', path('none/file')],
      [() => nodeDisk.rename(path('none'), path('x')), 'STO_MISSING', `${path('none')} does not exist`],
      [() => nodeDisk.makeDirectory(path('file')), 'STO_EXISTS', path('file')],
      [() => nodeDisk.list(path('file/sub')), 'STO_DENIED', path('file/sub')],
    ]
    for (const [call, code, text] of refused) {
      const error = (await call().catch((e: unknown) => e)) as Error
      expect(error).toMatchObject({ code })
      expect(error.message).toContain(text)
    }
    expect(await readFile(path('file'), 'utf8')).toBe('content')
  })
})
