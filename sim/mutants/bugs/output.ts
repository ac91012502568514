import type { Bug } from '../bug.ts'

const SINK = 'runtime/operators/sink.ts'
const RESTORED = 'runtime/operators/restored-transactions.ts'

/** Output: two-phase commit and what becomes of transactions after a restore. */
export const OUTPUT_BUGS: readonly Bug[] = [
  {
    name: 'sink-restored-not-committed',
    breaks: 'who continues a job commits what its restore point holds',
    patches: [{ file: RESTORED, find: "if (lineage === 'fork') return []", replace: 'return []' }],
  },
  {
    name: 'sink-fork-commits',
    breaks: "a fork leaves its source's transactions alone",
    patches: [{ file: RESTORED, find: "if (lineage === 'fork') return []", replace: '' }],
    test: 'test/unit/operators/restored-transactions.test.ts',
    because: 'the source commits the same transactions a moment later, unless it fails just then',
  },
  {
    name: 'sink-snapshot-forgets-older',
    breaks: 'a snapshot holds every transaction that is not known to be committed',
    patches: [
      {
        file: SINK,
        find: 'return this.#pending.filter((p) => p.checkpointId <= checkpointId)',
        replace: 'return this.#pending.filter((p) => p.checkpointId === checkpointId)',
      },
    ],
  },
  {
    name: 'sink-commit-forgets-newer',
    breaks: 'a commit forgets its own transaction only',
    patches: [
      {
        file: SINK,
        find: 'this.#pending = this.#pending.filter((p) => p !== next)',
        replace: 'this.#pending = []',
      },
    ],
  },
  {
    name: 'sink-commits-beyond-permit',
    breaks: 'a permit covers transactions up to its checkpoint',
    patches: [
      {
        file: SINK,
        find: 'const next = this.#pending.find((p) => p.checkpointId <= checkpointId)',
        replace: 'const next = this.#pending[0]',
      },
    ],
  },
  {
    name: 'sink-name-used-twice',
    breaks: 'the name of a transaction is never used again',
    patches: [{ file: SINK, find: 'this.#begin(checkpointId)', replace: 'this.#begin(0)' }],
  },
  {
    name: 'sink-removes-restored',
    breaks: 'what was restored is not dangling: another subtask may be about to commit it',
    patches: [{ file: RESTORED, find: '!kept.has(keyOf(transaction)) &&', replace: '' }],
  },
  {
    name: 'sink-removes-what-savepoints-hold',
    breaks: 'a savepoint stays restorable whatever becomes of its job',
    patches: [
      {
        file: RESTORED,
        find: '!sinks.savepoints.some((s) => s.attempt === transaction.attempt && s.id > transaction.after)',
        replace: 'true',
      },
    ],
  },
  {
    name: 'sink-rewind-misses-output',
    breaks: 'going back on purpose, output that is gone was committed meanwhile',
    patches: [
      {
        file: SINK,
        find: "if (!isGone || this.#context.lineage !== 'rewind') throw error",
        replace: 'throw error',
      },
    ],
    test: 'test/unit/operators/sink.test.ts',
    because: 'savepoints spare their transactions, so that none of them is gone',
  },
  {
    name: 'output-prepared-before-stored',
    breaks: 'a transaction is prepared when it is stored',
    patches: [
      {
        file: 'runtime/connectors/files/s3-output.ts',
        find: "await this.#retry('write', () => bucket.put(staged, bytes))",
        replace: "void this.#retry('write', () => bucket.put(staged, bytes)).catch(() => undefined)",
      },
    ],
  },
]
