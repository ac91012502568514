import { describe, expect, test } from 'vitest'
import { SubtaskRestore, type RestoreChain } from '#runtime/restore/subtask-restore'
import type { KeyedStateBackend, StateFileReader } from '#runtime/state/keyed-state'
import { encodeListSection, type ListStateMode } from '#runtime/state/list-state'
import { encodeStateFile } from '#runtime/state/snapshot-format'

const file = (uid: string, items: readonly unknown[], mode: ListStateMode = 'split'): Uint8Array =>
  encodeStateFile(
    { mode: 'full', sections: [encodeListSection(uid, 'splits', mode, items)] },
    { compress: false },
  )

const chain = (oldSubtask: number, files: readonly Uint8Array[], more: Partial<RestoreChain> = {}) => ({
  oldSubtask,
  oldParallelism: 2,
  uids: ['source'],
  keyed: files,
  lists: files.at(-1),
  ...more,
})

const restoreOf = (chains: readonly RestoreChain[], storedUid: Record<string, string> = {}) =>
  new SubtaskRestore({ checkpointId: 3, storedUid, states: {}, chains })

const two = [chain(0, [file('source', ['a', 'b', 'c'])]), chain(1, [file('source', ['d'])])]

describe('the list states of a subtask', () => {
  test('stay in place at the parallelism of before', () => {
    expect(restoreOf(two).list('source', 'splits', 0, 2)).toEqual(['a', 'b', 'c'])
    expect(restoreOf(two).list('source', 'splits', 1, 2)).toEqual(['d'])
  })

  test.each([1, 3, 5])('are dealt out whole and once to %i subtasks', (parallelism) => {
    const restore = restoreOf(two)
    const dealt = Array.from({ length: parallelism }, (_, i) =>
      restore.list('source', 'splits', i, parallelism),
    )
    expect(dealt.flat().toSorted()).toEqual(['a', 'b', 'c', 'd'])
    const counts = dealt.map((items) => items.length)
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1)
  })

  test('are given whole to everybody where they are a union', () => {
    const union = [0, 1].map((i) => chain(i, [file('source', [i], 'union')]))
    expect(restoreOf(union).list('source', 'splits', 0, 2)).toEqual([0, 1])
    expect(restoreOf(union).list('source', 'splits', 4, 5)).toEqual([0, 1])
  })

  test('are found under the name that the operator had before', () => {
    expect(restoreOf(two, { renamed: 'source' }).list('renamed', 'splits', 1, 2)).toEqual(['d'])
  })

  test('are empty for an operator, a name or a subtask that has none', () => {
    expect(restoreOf(two).list('other', 'splits', 0, 2)).toEqual([])
    expect(restoreOf(two).list('source', 'other', 0, 2)).toEqual([])
    expect(new SubtaskRestore(undefined).list('source', 'splits', 0, 1)).toEqual([])
    const missing = [chain(1, [file('source', ['d'])])]
    expect(restoreOf(missing).list('source', 'splits', 0, 2)).toEqual([])
  })
})

describe('the keyed state of a subtask', () => {
  /** Notes what it is asked to restore. */
  function backend() {
    const restored: string[] = []
    const of = {
      restore: (reader: StateFileReader, uid: string) => restored.push(`${uid} ${reader.index.length}`),
    } as unknown as KeyedStateBackend
    return { of, restored }
  }

  test('comes from every file of the chains that overlap, oldest first, under the stored name', () => {
    const { of, restored } = backend()
    const chains = [
      chain(0, [file('source', []), file('source', [])]),
      chain(1, [file('source', [])], { keyed: [] }),
      chain(0, [file('other', [])], { uids: ['other'] }),
    ]
    restoreOf(chains, { renamed: 'source' }).keyed('renamed', of, {})
    expect(restored).toEqual(['source 1', 'source 1'])
  })

  test('is nothing where nothing is restored', () => {
    const { of, restored } = backend()
    const restore = new SubtaskRestore(undefined)
    restore.keyed('source', of, {})
    expect([restore.checkpointId, restored]).toEqual([0, []])
  })
})
