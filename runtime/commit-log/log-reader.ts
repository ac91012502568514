import * as z from 'zod'
import { messageOf, WeirError } from '#runtime/base/errors'
import type { CallOptions, CheckpointStore } from '#runtime/storage/checkpoint-store'
import {
  keyUrl,
  LOG_PREFIX,
  LOG_SNAPSHOT_PREFIX,
  logRecordKey,
  logSnapshotKey,
  parseLogKey,
} from '#runtime/storage/paths'
import { emptyLog, foldRecord, logState, type LogState } from './log-state.ts'
import { type LogRecord, logRecord } from '#runtime/contract/checkpoint-records'

const PARALLEL_READS = 16

export const encodeJson = (value: unknown): Uint8Array => Buffer.from(`${JSON.stringify(value)}\n`)

/**
 * Decodes a stored JSON object against its schema. @throws {WeirError} STO_CORRUPT naming the
 * object.
 */
export function decodeStored<S extends z.ZodType>(
  schema: S,
  bytes: Uint8Array,
  what: string,
  url: string,
): z.infer<S> {
  let json: unknown
  try {
    json = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch (error) {
    throw new WeirError(
      'STO_CORRUPT',
      `${what} ${url} is not JSON (${bytes.byteLength} bytes): ${messageOf(error)}.`,
      {
        cause: error,
        context: { url },
      },
    )
  }
  const parsed = schema.safeParse(json)
  if (parsed.success) return parsed.data
  throw new WeirError(
    'STO_CORRUPT',
    `${what} ${url} does not fit its format: ${z.prettifyError(parsed.error).replaceAll('\n', ' ')}`,
    {
      cause: parsed.error,
      context: { url },
    },
  )
}

/** The record `seq`, or undefined where the log ends. @throws {WeirError} STO_CORRUPT */
export async function readRecord(
  store: CheckpointStore,
  seq: number,
  options: CallOptions = {},
): Promise<LogRecord | undefined> {
  const key = logRecordKey(seq)
  let bytes: Uint8Array
  try {
    bytes = await store.get(key, options)
  } catch (error) {
    if (error instanceof WeirError && error.code === 'STO_MISSING') return undefined
    throw error
  }
  return decodeRecord(store, seq, bytes)
}

export function decodeRecord(store: CheckpointStore, seq: number, bytes: Uint8Array): LogRecord {
  const url = keyUrl(store.url, logRecordKey(seq))
  const record = decodeStored(logRecord, bytes, 'Commit log record', url)
  if (record.seq !== seq)
    throw new WeirError('STO_CORRUPT', `Commit log record ${url} says it is seq ${record.seq}.`, {
      context: { url },
    })
  return record
}

/** seq of the newest snapshot above `seq` (exclusive), or undefined. One small request. */
export async function newestSnapshotAbove(
  store: CheckpointStore,
  seq: number,
  options: CallOptions = {},
): Promise<number | undefined> {
  const after = seq < 0 ? {} : { startAfter: logSnapshotKey(seq) }
  const found = await store.list(LOG_SNAPSHOT_PREFIX, { ...options, ...after })
  return found.flatMap((o) => parseLogKey(o.key)?.seq ?? []).at(-1)
}

export interface LogRead {
  readonly state: LogState
  /** seq of the snapshot it began with; -1: none. */
  readonly snapshot: number
}

/**
 * The whole log: newest snapshot, then the dense tail. @throws {WeirError} STO_CORRUPT naming a
 * damaged or missing record.
 */
export async function readLog(store: CheckpointStore, options: CallOptions = {}): Promise<LogRead> {
  let snapshot = await newestSnapshotAbove(store, -1, options)
  for (;;) {
    const state = await readFrom(store, snapshot, options)
    if (!('missing' in state)) return { state, snapshot: snapshot ?? -1 }
    // Records vanish only below a snapshot: read again from it. Without one, the log is damaged.
    const newer = await newestSnapshotAbove(store, snapshot ?? -1, options)
    if (newer === undefined || newer < state.missing)
      throw new WeirError(
        'STO_CORRUPT',
        `${keyUrl(store.url, logRecordKey(state.missing))} is missing although later records exist.`,
        {
          context: { seq: state.missing },
        },
      )
    snapshot = newer
  }
}

/**
 * Goes on from what was read before: one request when there is nothing new, else the new records,
 * a few at a time, or the newest snapshot where compaction has taken them away.
 */
export async function readOn(
  store: CheckpointStore,
  from: LogRead,
  options: CallOptions = {},
): Promise<LogRead> {
  const { head } = from.state
  const after = head < 0 ? {} : { startAfter: logRecordKey(head) }
  const keys = (await store.list(LOG_PREFIX, { ...options, ...after })).flatMap(
    (o) => parseLogKey(o.key) ?? [],
  )
  const snapshot = Math.max(from.snapshot, ...keys.filter((k) => k.kind === 'snapshot').map((k) => k.seq))
  const last = Math.max(head, ...keys.filter((k) => k.kind === 'record').map((k) => k.seq))
  const state = await foldRecords(store, from.state, last, options)
  if ('missing' in state || snapshot > state.head) return readLog(store, options)
  return { state, snapshot }
}

async function readFrom(
  store: CheckpointStore,
  snapshot: number | undefined,
  options: CallOptions,
): Promise<LogState | { readonly missing: number }> {
  const state = snapshot === undefined ? emptyLog : await readSnapshot(store, snapshot, options)
  const after = snapshot === undefined ? {} : { startAfter: logRecordKey(snapshot) }
  const listed = (await store.list(LOG_PREFIX, { ...options, ...after }))
    .map((o) => parseLogKey(o.key))
    .filter((k) => k?.kind === 'record')
    .map((k) => k?.seq ?? 0)
  return foldRecords(store, state, listed.at(-1) ?? state.head, options)
}

/** Records from the one behind `state` to `last`, inclusive. */
async function foldRecords(
  store: CheckpointStore,
  from: LogState,
  last: number,
  options: CallOptions,
): Promise<LogState | { readonly missing: number }> {
  let state = from
  for (let at = state.head + 1; at <= last; at += PARALLEL_READS) {
    const seqs = Array.from({ length: Math.min(PARALLEL_READS, last - at + 1) }, (_, i) => at + i)
    const records = await Promise.all(seqs.map((seq) => readRecord(store, seq, options)))
    for (const [i, record] of records.entries()) {
      if (record === undefined) return { missing: at + i }
      state = foldRecord(state, record)
    }
  }
  return state
}

async function readSnapshot(store: CheckpointStore, seq: number, options: CallOptions): Promise<LogState> {
  const key = logSnapshotKey(seq)
  const url = keyUrl(store.url, key)
  const state = decodeStored(logState, await store.get(key, options), 'Commit log snapshot', url)
  if (state.head !== seq)
    throw new WeirError('STO_CORRUPT', `Commit log snapshot ${url} says it ends at ${state.head}.`, {
      context: { url },
    })
  return state
}
