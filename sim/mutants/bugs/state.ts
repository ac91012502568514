import type { Bug } from '../bug.ts'

const HEAP_SNAPSHOT = 'runtime/state/heap-snapshot.ts'
const HEAP_TABLE = 'runtime/state/heap-table.ts'
const SUBTASK_RESTORE = 'runtime/restore/subtask-restore.ts'

/** State: snapshots while it changes, deltas, restoring at another parallelism. */
export const STATE_BUGS: readonly Bug[] = [
  {
    name: 'state-frozen-value-not-copied',
    breaks: 'a value that may be mutated is copied for the snapshot first',
    patches: [
      {
        file: HEAP_SNAPSHOT,
        find: 'mayMutate ? deepCopy(cell.value) : cell.value',
        replace: 'cell.value',
      },
    ],
  },
  {
    name: 'state-frozen-value-not-saved',
    breaks: 'a value is saved for the snapshot before it is replaced',
    patches: [
      {
        file: HEAP_TABLE,
        find: 'if (journal.active !== undefined) journal.active.save(cell, false)',
        replace: '',
      },
    ],
  },
  {
    name: 'state-delta-since-the-last',
    breaks: 'a delta holds what changed since its base, whatever became of checkpoints in between',
    patches: [
      {
        file: 'runtime/state/change-history.ts',
        find: 'const from = base > 0 ? this.#boundaries.get(base) : undefined',
        replace: 'const from = base > 0 ? [...this.#boundaries.values()].at(-1) : undefined',
      },
    ],
  },
  {
    name: 'state-loads-foreign-keys',
    breaks: 'a subtask restores the keys of its own key groups',
    patches: [
      {
        file: 'runtime/state/heap-backend.ts',
        find: "section.kind === 'entries' && this.#owns(section.keyGroup)",
        replace: "section.kind === 'entries'",
      },
    ],
  },
  {
    name: 'state-removed-keys-return',
    breaks: 'a delta says which keys were removed',
    patches: [
      {
        file: HEAP_SNAPSHOT,
        find: "if (mode === 'delta') this.#bucketOf(cell).removed.push(cell.key)",
        replace: '',
      },
    ],
    test: 'test/unit/state/heap-backend.test.ts',
    because: 'no operator of the simulated job removes a key',
  },
  {
    name: 'state-restored-newest-first',
    breaks: 'newer files of a chain replace older ones',
    patches: [
      {
        file: SUBTASK_RESTORE,
        find: 'for (const file of files) backend.restore',
        replace: 'for (const file of [...files].toReversed()) backend.restore',
      },
    ],
  },
  {
    name: 'restore-misses-later-files',
    breaks: 'a subtask restores from every file whose key groups overlap its own',
    patches: [
      {
        file: 'runtime/restore/restore-loader.ts',
        find: 'const overlaps = from < range.to && range.from < to',
        replace: 'const overlaps = from <= range.from && range.from < to',
      },
    ],
  },
  {
    name: 'restore-lists-to-everybody',
    breaks: 'each item of a split list state goes to one subtask',
    patches: [{ file: SUBTASK_RESTORE, find: 'if (union) return all.flat()', replace: 'return all.flat()' }],
  },
  {
    name: 'restore-lists-in-place',
    breaks: 'list states are dealt anew where the parallelism has changed',
    patches: [
      {
        file: SUBTASK_RESTORE,
        find: 'oldParallelism === parallelism ? all[subtask]',
        replace: 'true ? all[subtask]',
      },
    ],
  },
]
