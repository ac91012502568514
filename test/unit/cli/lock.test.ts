import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { LockFile } from '#cli/local/lock'

let path: string
beforeEach(() => {
  path = join(mkdtempSync(join(tmpdir(), 'weir-lock-')), 'lock')
})

describe('LockFile', () => {
  test('is taken once and names its holder to the second', () => {
    const first = new LockFile(path)
    expect(first.take(1000)).toBeUndefined()
    expect(new LockFile(path).take(2000)).toMatchObject({ pid: process.pid, since: 1000 })
    expect(LockFile.holder(path)?.pid).toBe(process.pid)
  })
  test('is free again after release', () => {
    const first = new LockFile(path)
    first.take(1)
    first.release()
    expect(existsSync(path)).toBe(false)
    expect(new LockFile(path).take(2)).toBeUndefined()
  })
  test('release by one that does not hold it changes nothing', () => {
    new LockFile(path).take(1)
    new LockFile(path).release()
    expect(LockFile.holder(path)).toBeDefined()
  })
  test('of a process that has ended is taken over', async () => {
    const child = spawn(process.execPath, ['-e', ''])
    await once(child, 'close')
    writeFileSync(path, JSON.stringify({ pid: child.pid, born: '1', since: 0 }))
    expect(LockFile.holder(path)).toBeUndefined()
    expect(new LockFile(path).take(5)).toBeUndefined()
    expect(LockFile.holder(path)).toMatchObject({ pid: process.pid, since: 5 })
  })
  test.runIf(existsSync('/proc/self/stat'))(
    'of an earlier process with a pid in use now is taken over',
    () => {
      writeFileSync(path, JSON.stringify({ pid: process.pid, born: '1', since: 0 }))
      expect(new LockFile(path).take(5)).toBeUndefined()
    },
  )
  test('that cannot be read is taken over', () => {
    writeFileSync(path, 'not a lock')
    expect(new LockFile(path).take(5)).toBeUndefined()
  })
})
