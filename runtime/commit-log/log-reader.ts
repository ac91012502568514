/** Reading the commit log and other stored JSON; every object is checked against its schema. */
import * as z from 'zod'
import { messageOf, WeirError } from '#runtime/base/errors'
import { type LogRecord, logRecord } from '#runtime/contract/checkpoint-records'
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

/** An object that must be there: a later one of the log, or the listing, says so. */
async function getExisting(store: CheckpointStore, key: string, options: CallOptions): Promise<Uint8Array> {
  try {
    return await store.get(key, options)
  } catch (error) {
    if (!(error instanceof WeirError) || error.code !== 'STO_MISSING') throw error
    const url = keyUrl(store.url, key)
    throw new WeirError('STO_CORRUPT', `${url} is missing although the log goes on behind it.`, {
      cause: error,
      context: { url },
    })
  }
}

/** @throws {WeirError} STO_CORRUPT naming the record. */

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
 * The whole log: newest snapshot, then the dense tail. What was read counts only if no newer
 * snapshot has come meanwhile: below one, records may have been deleted and their keys filled again
 * by a process that slept.
 * @throws {WeirError} STO_CORRUPT naming a damaged or missing record.
 */
export async function readLog(store: CheckpointStore, options: CallOptions = {}): Promise<LogRead> {
  let snapshot = await newestSnapshotAbove(store, -1, options)
  for (;;) {
    const read = await soundly(readFrom(store, snapshot, options))
    const newer = await newestSnapshotAbove(store, snapshot ?? -1, options)
    if (newer !== undefined) snapshot = newer
    else if (read instanceof WeirError) throw read
    else return { state: read, snapshot: snapshot ?? -1 }
  }
}

/**
 * Goes on from what was read before: one request when there is nothing new, else the new records,
 * a few at a time, or the whole log from the newest snapshot where there is one above the old head.
 * @throws {WeirError} STO_CORRUPT naming a damaged or missing record.
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
  const newest = (kind: 'record' | 'snapshot') =>
    Math.max(-1, ...keys.filter((k) => k.kind === kind).map((k) => k.seq))
  const [last, snapshot] = [newest('record'), newest('snapshot')]
  if (snapshot > head) return readLog(store, options)
  if (last <= head) return { state: from.state, snapshot: Math.max(from.snapshot, snapshot) }
  const state = await soundly(foldRecords(store, from.state, last, options))
  const newer = await newestSnapshotAbove(store, head, options)
  if (state instanceof WeirError || newer !== undefined) return readLog(store, options)
  return { state, snapshot: Math.max(from.snapshot, snapshot) }
}

/** An impossible sequence is a value, no throw: the log may have been cut while it was read. */
async function soundly<T>(reading: Promise<T>): Promise<T | WeirError> {
  try {
    return await reading
  } catch (error) {
    if (error instanceof WeirError && error.code === 'STO_CORRUPT') return error
    throw error
  }
}

async function readFrom(
  store: CheckpointStore,
  snapshot: number | undefined,
  options: CallOptions,
): Promise<LogState> {
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
): Promise<LogState> {
  let state = from
  for (let at = state.head + 1; at <= last; at += PARALLEL_READS) {
    const seqs = Array.from({ length: Math.min(PARALLEL_READS, last - at + 1) }, (_, i) => at + i)
    const stored = await Promise.all(seqs.map((seq) => getExisting(store, logRecordKey(seq), options)))
    for (const [i, bytes] of stored.entries()) state = foldRecord(state, decodeRecord(store, at + i, bytes))
  }
  return state
}

async function readSnapshot(store: CheckpointStore, seq: number, options: CallOptions): Promise<LogState> {
  const key = logSnapshotKey(seq)
  const url = keyUrl(store.url, key)
  const bytes = await getExisting(store, key, options)
  const state = decodeStored(logState, bytes, 'Commit log snapshot', url)
  if (state.head !== seq)
    throw new WeirError('STO_CORRUPT', `Commit log snapshot ${url} says it ends at ${state.head}.`, {
      context: { url },
    })
  return state
}
