import type { Bug } from '../bug.ts'

const RECORD_WRITER = 'runtime/commit-log/record-writer.ts'
const COMMIT_LOG = 'runtime/commit-log/commit-log.ts'
const LOG_STATE = 'runtime/commit-log/log-state.ts'
const LOG_READER = 'runtime/commit-log/log-reader.ts'
const LOG_COMPACTION = 'runtime/commit-log/log-compaction.ts'
const TERM = 'runtime/commit-log/term.ts'

/** The commit log: appending, reading, folding, compaction, terms. */
export const LOG_BUGS: readonly Bug[] = [
  {
    name: 'log-taken-place-is-own',
    breaks:
      "a writer whose place is taken reads whose bytes stand there, and does not take 'exists' for success",
    patches: [
      {
        file: RECORD_WRITER,
        find: "return answer === 'created' ? bytes : store.get(key, call)",
        replace: 'return bytes',
      },
    ],
  },
  {
    name: 'log-freed-place-is-own',
    breaks: 'an own record at or below a snapshot is not believed: compaction may have freed its place',
    patches: [
      {
        file: RECORD_WRITER,
        find: "return newer === undefined ? { kind: 'own' } : { kind: 'freed' }",
        replace: "return { kind: 'own' }",
      },
    ],
    test: 'test/unit/commit-log/commit-log.test.ts',
    because: 'TaskManagers refuse what its leader, deposed long since, tells them',
  },
  {
    name: 'log-no-answer-is-refused',
    breaks: 'an append without an answer is open, not refused',
    patches: [
      {
        file: RECORD_WRITER,
        find: '(!mayExist && REFUSALS.has(error.code))',
        replace: "error.retry === 'backoff' || (!mayExist && REFUSALS.has(error.code))",
      },
    ],
  },
  {
    name: 'log-denied-after-doubt-is-refused',
    breaks: 'a refusal proves nothing about earlier tries of the same append',
    patches: [{ file: RECORD_WRITER, find: '!mayExist && REFUSALS.has', replace: 'REFUSALS.has' }],
  },
  {
    name: 'log-epoch-opened-at-old-head',
    breaks: 'the log is read on before an epoch is opened in it',
    patches: [{ file: COMMIT_LOG, find: 'await this.#readOn(options)', replace: '' }],
  },
  {
    name: 'log-closed-run-goes-on',
    breaks: 'nobody opens an epoch on a run that was closed',
    patches: [
      {
        file: COMMIT_LOG,
        find: 'if (run === newest && closed !== undefined && force !== true)',
        replace: 'if (false)',
      },
    ],
  },
  {
    name: 'log-lost-append-is-refused',
    breaks: "a leader is deposed when another's record stands at its place",
    patches: [
      {
        file: TERM,
        find: "if (outcome.kind !== 'own') return { kind: 'over', error: this.#depose(record, outcome) }",
        replace:
          "if (outcome.kind !== 'own') return { kind: 'refused', error: new WeirError('FENCED', 'lost') }",
      },
    ],
  },
  {
    name: 'log-deploy-keeps-restore-point',
    breaks: 'a deployment makes what it restores from the restore point of the run',
    patches: [{ file: LOG_STATE, find: ', restorePoint: body.restoreFrom }', replace: ' }' }],
  },
  {
    name: 'log-ending-savepoint-keeps-point',
    breaks: 'the savepoint that a run ends with becomes the restore point',
    patches: [{ file: LOG_STATE, find: ', restorePoint: savepointPoint(body) }', replace: ' }' }],
  },
  {
    name: 'log-savepoint-sets-restore-point',
    breaks: 'a savepoint beside a running job is not where it restores from',
    patches: [
      {
        file: LOG_STATE,
        find: 'savepoints: [...next.savepoints, completed].slice(-KEPT),',
        replace:
          'savepoints: [...next.savepoints, completed].slice(-KEPT), restorePoint: savepointPoint(body),',
      },
    ],
  },
  {
    name: 'log-folds-deposed-leader',
    breaks: 'a record carries the open epoch',
    patches: [
      {
        file: LOG_STATE,
        find: 'if (record.epoch !== state.epoch)',
        replace: 'if (false)',
      },
    ],
    test: 'test/unit/commit-log/log-state.test.ts',
    because: 'nobody writes such a record: the place of a deposed leader is taken',
  },
  {
    name: 'log-reads-freed-places',
    breaks: 'records are read from the newest snapshot where there is one above the head',
    patches: [
      { file: LOG_READER, find: 'if (snapshot > head) return readLog(store, options)', replace: '' },
      {
        file: LOG_READER,
        find: 'if (state instanceof WeirError || newer !== undefined) return readLog(store, options)',
        replace: 'if (state instanceof WeirError) return readLog(store, options)',
      },
    ],
    test: 'test/unit/commit-log/commit-log.test.ts',
    because: 'hardly any reader is on its way while a late record wins a freed place',
  },
  {
    name: 'log-compaction-cuts-the-tail',
    breaks: 'only records that a snapshot holds are deleted',
    patches: [{ file: LOG_COMPACTION, find: ' && key <= last)', replace: ')' }],
  },
  {
    name: 'log-runs-fall',
    breaks: 'a run that is over opens no epoch',
    patches: [{ file: COMMIT_LOG, find: 'if (run < newest)', replace: 'if (false)' }],
    test: 'test/unit/commit-log/commit-log.test.ts',
    because: 'the fold refuses the record, so that it is never written',
  },
]
