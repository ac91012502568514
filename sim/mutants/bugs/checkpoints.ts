import type { Bug } from '../bug.ts'

const COORDINATOR = 'runtime/checkpoint/coordinator.ts'
const COORDINATOR_STATE = 'runtime/checkpoint/coordinator-state.ts'
const FINALIZER = 'runtime/checkpoint/checkpoint-finalizer.ts'
const RETENTION = 'runtime/commit-log/retention.ts'
const RETIRED_FILES = 'runtime/commit-log/retired-files.ts'

/** Checkpoints: their coordinator, their completion, what is kept of them. */
export const CHECKPOINT_BUGS: readonly Bug[] = [
  {
    name: 'checkpoint-commit-before-append',
    breaks: 'tasks are told to commit only once the record is certain',
    patches: [
      {
        file: COORDINATOR,
        find: 'const outcome = await term.append(body)',
        replace:
          'const permit = { checkpointId: id, epoch: term.epoch }\n' +
          'this.#deps.send.complete(this.#current().checkpoint.attempt, permit)\n' +
          'const outcome = await term.append(body)',
      },
    ],
  },
  {
    name: 'checkpoint-expires-after-append',
    breaks: 'a checkpoint does not expire once its record was sent',
    patches: [
      {
        file: COORDINATOR_STATE,
        find: 'Expire: (state, { id }) =>\n    state.finalized === undefined && id === state.checkpoint.id',
        replace: 'Expire: (state, { id }) =>\n    id === state.checkpoint.id',
      },
    ],
  },
  {
    name: 'checkpoint-lost-after-append',
    breaks: 'the loss of the attempt does not end a checkpoint whose record was sent',
    patches: [
      {
        file: COORDINATOR_STATE,
        find: 'state.finalized === undefined ? onAttemptLost(state, event) : ignore(state),',
        replace: 'onAttemptLost(state, event),',
      },
    ],
  },
  {
    name: 'checkpoint-record-before-manifest',
    breaks: 'the manifest is stored before the record names it',
    patches: [
      {
        file: 'runtime/commit-log/manifest-io.ts',
        find: 'await createExact(store, key, bytes, { ...rest, clock, random })',
        replace: 'void createExact(store, key, bytes, { ...rest, clock, random }).catch(() => undefined)',
      },
    ],
  },
  {
    name: 'checkpoint-reuses-adopted-ids',
    breaks: 'ids grow over those that adopted tasks have seen',
    patches: [
      {
        file: COORDINATOR,
        find: 'this.#highestId = Math.max(this.#highestId, attempt.highestId)',
        replace: '',
      },
    ],
  },
  {
    name: 'checkpoint-one-ack-missing',
    breaks: 'every subtask acknowledges a checkpoint that completes',
    patches: [
      {
        file: COORDINATOR_STATE,
        find: 'if (missing.size > 0) return []',
        replace: 'if (missing.size > 1) return []',
      },
      { file: COORDINATOR_STATE, find: '&& state.missing.size === 0', replace: '&& state.missing.size <= 1' },
      {
        file: 'runtime/checkpoint/checkpoint-assembly.ts',
        find: '(_, subtask) => acks.get(`${vertex.id}/${subtask}`) as SubtaskAck,\n    )',
        replace: '(_, subtask) => acks.get(`${vertex.id}/${subtask}`) as SubtaskAck,\n    ).filter(Boolean)',
      },
    ],
  },
  {
    name: 'checkpoint-counts-late-acks',
    breaks: 'an acknowledgement counts for its own checkpoint only',
    patches: [
      {
        file: COORDINATOR_STATE,
        find: "return message.checkpointId === checkpoint.id ? 'CURRENT' : 'DISCARDED'",
        replace: "return 'CURRENT'",
      },
    ],
    test: 'test/unit/checkpoint/coordinator-state.test.ts',
    because: 'files of another checkpoint are found when the manifest is made',
  },
  {
    name: 'checkpoint-savepoint-commits',
    breaks: 'a savepoint beside a running job commits nothing',
    patches: [{ file: FINALIZER, find: 'commits: !isSavepoint || ends,', replace: 'commits: true,' }],
  },
  {
    name: 'checkpoint-savepoints-go-first',
    breaks: 'requests cannot keep periodic checkpoints away',
    patches: [
      {
        file: 'runtime/checkpoint/request-decider.ts',
        find: '(request.last || !isTurnOfPeriodic)',
        replace: 'true',
      },
    ],
    test: 'test/unit/checkpoint/request-decider.test.ts',
    because: 'nobody in a simulation asks so often that nothing else gets its turn',
  },
  {
    name: 'checkpoint-stop-does-not-wait',
    breaks: 'the coordinator has stopped once the record in flight is certain',
    patches: [
      {
        file: COORDINATOR,
        find: 'if (inFlight(this.#state) !== undefined) await new',
        replace: 'if (false) await new',
      },
    ],
  },
  {
    name: 'retention-one-too-many',
    breaks: 'as many checkpoints are kept as were asked for',
    patches: [
      {
        file: RETENTION,
        find: 'state.retained.length + 1 - Math.max(1, retain)',
        replace: 'state.retained.length + 2 - Math.max(1, retain)',
      },
    ],
  },
  {
    name: 'retention-deletes-shared-files',
    breaks: 'what a retained checkpoint shares with a retired one stays',
    patches: [
      {
        file: RETIRED_FILES,
        find: '...found.flat()].filter((key) => !reached.has(key)),',
        replace: '...found.flat()],',
      },
    ],
  },
  {
    name: 'retention-orphans-are-reached',
    breaks: 'what something in the log reaches is no orphan, however old',
    patches: [{ file: RETENTION, find: 'if (input.reached.has(key)) return false', replace: '' }],
  },
  {
    name: 'retention-deletes-savepoints',
    breaks: "a savepoint's files belong to its user",
    patches: [
      {
        file: RETENTION,
        find: 'return path !== keyUrl(input.storeUrl, directory) && !isRestorePoint',
        replace: 'return !isRestorePoint',
      },
    ],
    test: 'test/unit/commit-log/retention.test.ts',
    because: 'it takes a day of the store, and no simulation lasts so long',
  },
  {
    name: 'retention-deletes-own-copy',
    breaks: 'the own copy of a savepoint elsewhere stays while it is the restore point',
    patches: [
      { file: FINALIZER, find: 'place.copyTo === undefined || ends', replace: 'place.copyTo === undefined' },
    ],
  },
  {
    name: 'retention-ignores-pins',
    breaks: 'a pinned checkpoint is not retired',
    patches: [{ file: RETENTION, find: '!pinned.has(id) && !asked.has(id)', replace: 'true' }],
    test: 'test/unit/commit-log/retention.test.ts',
    because: 'nobody in a simulation pins',
  },
]
