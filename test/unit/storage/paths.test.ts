import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  assertKey,
  checkpointDirectory,
  encodeName,
  jobRoot,
  logRecordKey,
  logSnapshotKey,
  manifestKey,
  parseCheckpointKey,
  parseLogKey,
  savepointDirectory,
  stateFileKey,
} from '#runtime/storage/paths'

describe('names', () => {
  test('ordinary ones stay readable', () => {
    expect(encodeName('word-count_v2.1')).toBe('word-count_v2.1')
  })
  test.each([
    ['.', '=2E'],
    ['..', '=2E.'],
    ['a/b', 'a=2Fb'],
    ['a=2Fb', 'a=3D2Fb'],
    ['zähler', 'z=C3=A4hler'],
    ['', '=='],
    ['=', '=3D'],
  ])('%j becomes %j', (name, key) => expect(encodeName(name)).toBe(key))

  test('any two different ones give different, valid segments', () => {
    const name = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 12 }),
      fc.string({ maxLength: 300 }),
      fc.stringMatching(/^[=.A-F0-9/-]{0,8}$/),
    )
    fc.assert(
      fc.property(name, name, (a, b) => {
        const [x, y] = [encodeName(a), encodeName(b)]
        assertKey(x)
        expect(x.length).toBeLessThanOrEqual(100)
        expect(x === y).toBe(Buffer.from(a).equals(Buffer.from(b)))
      }),
    )
  })
  test('state files of different subtasks never share a key', () => {
    const key = (vertex: string, subtask: number, attempt: string) =>
      stateFileKey('chk/1-1', { vertex, subtask, attempt, part: 'state' })
    expect(key('a-1', 2, '1.1')).toBe('chk/1-1/a-1-2-1.1.state')
    expect(key('a', 1, '2.1')).not.toBe(key('a-1', 2, '1'))
  })
})

test('files of several tries of a savepoint at one place never share a key', () => {
  const key = (savepointId: number) =>
    stateFileKey('', { vertex: 'count', subtask: 0, attempt: '1.1', part: 'lists', savepointId })
  expect(key(4)).toBe('count-0-1.1-4.lists')
  expect(key(4)).not.toBe(key(5))
})

test('no key is the directory of another', () => {
  const dir = checkpointDirectory({ id: 4, epoch: 2 })
  const keys = [
    logRecordKey(1),
    logRecordKey(2),
    logSnapshotKey(1),
    manifestKey(dir),
    stateFileKey(dir, { vertex: 'lines', subtask: 0, attempt: '2.1', part: 'state' }),
    manifestKey(savepointDirectory({ id: 5, epoch: 2 })),
  ]
  for (const key of keys) {
    assertKey(key)
    for (const other of keys) expect(other.startsWith(`${key}/`)).toBe(false)
  }
})

test('log keys sort by seq and are read back', () => {
  expect(logRecordKey(9) < logRecordKey(10)).toBe(true)
  expect(parseLogKey(logRecordKey(12))).toEqual({ kind: 'record', seq: 12 })
  expect(parseLogKey(logSnapshotKey(12))).toEqual({ kind: 'snapshot', seq: 12 })
  expect(parseLogKey('log/12.json')).toBeUndefined()
  expect(() => logRecordKey(-1)).toThrow(/-1 is not a sequence number/)
})

test('checkpoint keys are read back', () => {
  expect(parseCheckpointKey('chk/7-3/manifest.json')).toEqual({ id: 7, epoch: 3 })
  expect(parseCheckpointKey('savepoints/7-3/manifest.json')).toBeUndefined()
})

test('the root of a job lies below the prefix', () => {
  const job = { namespace: 'default', name: 'word-count', uid: 'u1' }
  expect(jobRoot('', job)).toBe('default/word-count/u1')
  expect(jobRoot('team/a/', job)).toBe('team/a/default/word-count/u1')
  expect(jobRoot('/var/weir', job)).toBe('/var/weir/default/word-count/u1')
  expect(jobRoot('/', job)).toBe('/default/word-count/u1')
})
