import { Packr } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { toErrorData, WeirError } from '#runtime/base/errors'
import type { FromJobManager, FromTaskManager } from '#runtime/contract/rpc'
import { decodeFromJobManager, decodeFromTaskManager, sendMessage } from '#runtime/net/messages'
import type { Connection } from '#runtime/net/transport'
import { planOf } from '#test/kit/job-world'

const subtask = { vertex: 'v', subtask: 0 }
const place = { ...subtask, taskManager: 'tm-1', slot: 0 }
const error = toErrorData(new WeirError('USR_FAILED', 'map threw', { context: { operator: 'words' } }))
const counts = {
  recordsIn: 1,
  recordsOut: 2,
  recordsWritten: 2,
  busyMs: 3,
  backPressuredMs: 4,
  lateDropped: 5,
  badRecords: 6,
  skippedCommits: 7,
  leftPending: 8,
}
const report = {
  attempt: '1.1',
  planHash: 'p',
  places: [place],
  state: 'Running',
  highestCheckpointId: 3,
} as const
const file = { sizeBytes: 1, sha256: 'ab', writtenBy: 7, mode: 'full', inline: 'AA==' } as const

const FROM_TASK_MANAGER: FromTaskManager[] = [
  {
    type: 'hello',
    wire: 1,
    version: '1.2.3',
    token: 'secret',
    jobUid: 'u',
    run: 1,
    id: 'tm-1',
    slots: 2,
    dataAddress: 'h:1',
  },
  {
    type: 'heartbeat',
    freeSlots: 0,
    attempt: '1.1',
    progress: { restoredBytes: 1, steps: 2 },
    subtasks: [{ ...subtask, ...counts, watermark: -Infinity }],
    standstills: [{ kind: 'store', forMs: 1.5, message: 'no space left' }],
  },
  { type: 'heartbeat', freeSlots: 0, attempt: undefined, progress: undefined, subtasks: [], standstills: [] },
  { type: 'execution', epoch: 1, report },
  { type: 'execution', epoch: 1, report: undefined },
  { type: 'deployed', attempt: '1.1', restoreMs: 1.5 },
  { type: 'deployFailed', attempt: '1.1', error },
  { type: 'firstRecord', attempt: '1.1' },
  { type: 'finished', attempt: '1.1', subtask },
  { type: 'failed', attempt: '1.1', subtask, error: { ...error, stack: 'at words.ts:3' } },
  { type: 'failed', attempt: '1.1', subtask: undefined, error },
  {
    type: 'ack',
    ack: {
      ...{ ...subtask, attempt: '1.1', epoch: 1, checkpointId: 7, uids: ['v'], states: [] },
      state: { subtask: 0, keyGroups: [0, 128], chain: [file] },
      ...{ sizeBytes: 1, deltaBytes: 1, alignmentMs: 0.1, syncMs: 0.2, asyncMs: 0.3, uploadMs: 0.4 },
    },
  },
  {
    type: 'decline',
    decline: { ...subtask, attempt: '1.1', epoch: 1, checkpointId: 7, reason: 'SINK_PREPARE_FAILED', error },
  },
  { type: 'committed', attempt: '1.1', subtask, checkpointId: 7 },
  { type: 'fenced', epoch: 2 },
  { type: 'leaving', why: 'SIGTERM' },
]

const barrier = {
  epoch: 1,
  id: 7,
  base: 6,
  kind: 'checkpoint',
  directory: 'chk/7-1',
  stop: false,
  drain: false,
} as const

const FROM_JOB_MANAGER: FromJobManager[] = [
  { type: 'welcome', leader: true, epoch: 1, id: 'jm-1' },
  {
    type: 'deploy',
    epoch: 1,
    deployment: {
      attempt: '1.1',
      planHash: 'p',
      plan: {
        ...planOf(2),
        edges: [{ id: 0, from: 'v', to: 'v', partition: 'hash', fromOperator: 0 }],
      },
      parallelism: 2,
      module: { sha256: 'ab', name: 'job.ts', source: 'export default 1', args: { input: 's3://x' } },
      places: [place],
      dataAddresses: { 'tm-1': 'h:1' },
      restore: {
        kind: 'savepoint',
        path: 's3://x/y',
        sha256: 'ab',
        manifest: 'chk/7-1/manifest.json',
        lineage: 'fork',
        committedUpTo: 0,
      },
      sinks: { committedUpTo: 3, savepoints: [{ attempt: '1.1', id: 2 }] },
    },
  },
  { type: 'start', epoch: 1, attempt: '1.1' },
  { type: 'adopt', epoch: 1, attempt: '1.1' },
  { type: 'cancel', epoch: 1, attempt: '1.1', why: 'stopped' },
  { type: 'trigger', epoch: 1, attempt: '1.1', barrier },
  { type: 'complete', epoch: 1, attempt: '1.1', permit: { checkpointId: 7, epoch: 1 } },
  { type: 'abort', epoch: 1, attempt: '1.1', checkpointId: 7 },
]

function encoded(message: FromJobManager | FromTaskManager): Uint8Array {
  let frame = new Uint8Array()
  const connection: Connection = {
    remote: 'test',
    closed: false,
    send: (...parts) => void (frame = new Uint8Array(Buffer.concat(parts))),
    close: () => undefined,
    destroy: () => undefined,
  }
  sendMessage(connection, message)
  return frame
}

const pack = (value: unknown): Uint8Array =>
  new Packr({ useRecords: false, encodeUndefinedAsNil: false }).pack(value)

/** The value with one of its fields, however deep, taken away or made something else. */
function* damaged(value: unknown, path = ''): Generator<readonly [path: string, value: unknown]> {
  if (typeof value !== 'object' || value === null) return
  for (const [key, field] of Object.entries(value)) {
    const at = `${path}.${key}`
    const rest = Object.fromEntries(Object.entries(value).filter(([k]) => k !== key))
    if (!Array.isArray(value) && !FREE.test(at)) yield [`without ${at}`, rest]
    if (!ANYTHING.test(at)) yield [`strange ${at}`, replaced(value, key, Symbol.for('strange').toString())]
    for (const [what, inner] of damaged(field, at)) yield [what, replaced(value, key, inner)]
  }
}
/** Optional fields, and entries of records by name. */
const FREE = /\.(stack|sha256|manifest|inline|lineage|committedUpTo|context\..*|args\..*|dataAddresses\..*)$/
/** Texts that may be any, and what users may put anything into. */
const ANYTHING = new RegExp(
  String.raw`\.(token|jobUid|id|dataAddress|version|planHash|vertex|taskManager|message|why|stack|` +
    String.raw`uids\.0|sha256|inline|operator|hash|name|uid|kind|description|location|from|to|source|` +
    'input|path|manifest|directory|tm-1)$',
)

const replaced = (value: object, key: string, field: unknown): unknown =>
  Array.isArray(value)
    ? value.map((v: unknown, i) => (String(i) === key ? field : v))
    : { ...value, [key]: field }

describe.each([
  ['a TaskManager', FROM_TASK_MANAGER, decodeFromTaskManager],
  ['a JobManager', FROM_JOB_MANAGER, decodeFromJobManager],
] as const)('messages of %s', (_, messages, decode) => {
  test.each(messages.map((m) => [m.type, m] as const))('arrive as they were sent: %s', (_type, message) => {
    expect(decode(encoded(message))).toEqual(message)
  })

  test.each(messages.map((m) => [m.type, m] as const))(
    'are refused with a field that is missing or of another type: %s',
    (_type, message) => {
      let tried = 0
      for (const [what, value] of damaged(message)) {
        tried++
        expect(() => decode(pack(value)), what).toThrow(/is not a control message of this version/)
      }
      expect(tried).toBeGreaterThan(0)
    },
  )

  test.each([
    ['nothing', new Uint8Array()],
    ['a number', pack(7)],
    ['null', pack(null)],
    ['a map without a type', pack({ epoch: 1 })],
    ['an unknown type', pack({ type: 'ping', epoch: 1 })],
    ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['half a message', encoded(messages[0] as FromTaskManager).subarray(0, 20)],
  ])('are not %s', (_what, frame) => {
    expect(() => decode(frame)).toThrow(WeirError)
    expect(() => decode(frame)).toThrow(/is not a control message/)
  })

  test('may carry fields of a newer peer, which are dropped', () => {
    const [first] = messages
    expect(decode(pack({ ...first, newer: 1 }))).toEqual(first)
  })
})

test('what a refusal says never repeats the token', () => {
  const frame = pack({ ...FROM_TASK_MANAGER[0], wire: 'x' })
  expect(() => decodeFromTaskManager(frame)).toThrow(/wire/)
  expect(() => decodeFromTaskManager(frame)).not.toThrow(/secret/)
})
