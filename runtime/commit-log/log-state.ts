/**
 * What a commit log says, folded from its records in order. Pure: equal records give equal states,
 * whoever folds them, so that a state may stand for the records below it (snapshots). A sequence
 * that no correct writer produces is refused with STO_CORRUPT naming the seq.
 *
 * F1 seq is dense from 0; seq 0 is OWNER and nothing else is.
 * F2 Epochs grow strictly with EPOCH_OPEN, and every other record carries the open one. Runs never
 *    fall.
 * F3 After CLOSE of the newest run only EPOCH_OPEN follows (a greater run, or the same
 *    one) and PIN.
 * F4 Ids of checkpoints grow; no id is used twice, savepoints included.
 * F5 A CHECKPOINT belongs to the attempt of the last DEPLOY; its base and what it retires are
 *    retained before it.
 * F6 The restore point is named by the newest of CHECKPOINT, stopping SAVEPOINT and DEPLOY (whose
 *    restoreFrom may go back on purpose). It is never retired.
 * F7 A run that is to end with a checkpoint or savepoint completes no other checkpoint.
 */
import * as z from 'zod'
import { assertNever, WeirError } from '#runtime/base/errors'
import {
  FORMAT_VERSION,
  logBodies,
  type LogRecord,
  type LogRecordOf,
  type RestorePoint,
  restorePoint,
  runEnd,
} from '#runtime/contract/checkpoint-records'
import {
  type AttemptId,
  type CheckpointId,
  type Epoch,
  checkpointId,
  checkpointIdOrNone,
  epochOrNone,
  runNumber,
} from '#runtime/contract/ids'

const stamp = { seq: z.int().nonnegative(), at: z.int() }
const deployment = z.object({ ...logBodies.deploy.shape, ...stamp })
const completedCheckpoint = z.object({ ...logBodies.checkpoint.shape, ...stamp })
const completedSavepoint = z.object({ ...logBodies.savepoint.shape, ...stamp })
const pinned = z.object({ ...logBodies.pin.shape, ...stamp })
const closed = z.object({ ...logBodies.close.shape, ...stamp })
const retirement = z.object({
  ...stamp,
  checkpoints: z.array(z.object({ id: checkpointId, manifest: z.string(), sha256: z.string() })),
})

export const logState = z.object({
  v: z.literal(FORMAT_VERSION),
  /** seq of the newest record; -1 for an empty log. */
  head: z.int().min(-1),
  owner: logBodies.owner.optional(),
  epoch: epochOrNone,
  leader: z.string().optional(),
  /** Highest run that opened an epoch. */
  run: runNumber,
  /** CLOSE of `run`; absent while it may go on. */
  closed: closed.optional(),
  deploy: deployment.optional(),
  /** Completed and not retired, ordered by id. */
  retained: z.array(completedCheckpoint),
  /** Newest completed checkpoint, also after it was retired. */
  lastCheckpoint: completedCheckpoint.optional(),
  /** Completed savepoints in the order of the log, newest 1000. */
  savepoints: z.array(completedSavepoint),
  restorePoint,
  /** Greatest id of a checkpoint or savepoint in the log. */
  highestId: checkpointIdOrNone,
  pins: z.array(pinned),
  /** The run is to end with this completed checkpoint or savepoint; only CLOSE is missing. */
  ending: z.object({ status: runEnd, id: checkpointId }).optional(),
  /** Every sink has committed up to this id, as the newest CLOSE says. */
  committedUpTo: checkpointIdOrNone,
  /**
   * What was retired and is perhaps not yet deleted, oldest first, newest 1000; files of
   * older ones are found by their age.
   */
  retirements: z.array(retirement),
})
export type LogState = z.infer<typeof logState>
export type CompletedCheckpoint = z.infer<typeof completedCheckpoint>
export type CompletedSavepoint = z.infer<typeof completedSavepoint>
export type Retirement = z.infer<typeof retirement>
export type Deployed = z.infer<typeof deployment>

const KEPT = 1000

export const emptyLog: LogState = {
  v: FORMAT_VERSION,
  head: -1,
  epoch: 0,
  run: 0,
  retained: [],
  savepoints: [],
  restorePoint: { kind: 'empty' },
  highestId: 0,
  pins: [],
  committedUpTo: 0,
  retirements: [],
}

/** An attempt of `epoch` that no DEPLOY has used. */
export function nextAttempt(state: LogState, epoch: Epoch): string {
  const [deployEpoch, n] = attemptParts(state.deploy?.attempt ?? '0.0')
  return `${epoch}.${deployEpoch === epoch ? n + 1 : 1}`
}

/** @throws {WeirError} STO_CORRUPT when `record` cannot follow `state`. */
export function foldRecord(state: LogState, record: LogRecord): LogState {
  const { body } = record
  checkOrder(state, record)
  const next = { ...state, head: record.seq }
  switch (body.kind) {
    case 'OWNER':
      return { ...next, owner: body }
    case 'EPOCH_OPEN':
      return foldEpochOpen(next, record, body)
    case 'DEPLOY':
      return foldDeploy(next, record, body)
    case 'CHECKPOINT':
      return foldCheckpoint(next, record, body)
    case 'SAVEPOINT':
      return foldSavepoint(next, record, body)
    case 'PIN':
      return foldPin(next, record, body)
    case 'CLOSE':
      return foldClose(next, record, body)
    default:
      return assertNever(body)
  }
}

/** The state with the retirements of these records forgotten: their files are gone. */
export function withoutRetirements(state: LogState, seqs: ReadonlySet<number>): LogState {
  return seqs.size === 0
    ? state
    : { ...state, retirements: state.retirements.filter((r) => !seqs.has(r.seq)) }
}

function checkOrder(state: LogState, record: LogRecord): void {
  const { kind } = record.body
  if (record.seq !== state.head + 1) throw impossible(record, `expected seq ${state.head + 1}`)
  if ((kind === 'OWNER') !== (record.seq === 0))
    throw impossible(record, 'OWNER stands at seq 0 and nowhere else')
  if (kind === 'EPOCH_OPEN') return
  if (record.epoch !== state.epoch)
    throw impossible(record, `it carries epoch ${record.epoch}, the open epoch is ${state.epoch}`)
  if (state.closed !== undefined && kind !== 'PIN')
    throw impossible(record, `run ${state.run} was closed at seq ${state.closed.seq}`)
}

function foldEpochOpen(next: LogState, record: LogRecord, body: LogRecordOf<'EPOCH_OPEN'>): LogState {
  if (body.epoch !== record.epoch)
    throw impossible(record, `it opens epoch ${body.epoch} but carries ${record.epoch}`)
  if (body.epoch <= next.epoch)
    throw impossible(record, `it opens epoch ${body.epoch}, epoch ${next.epoch} is open already`)
  if (body.run < next.run) throw impossible(record, `it is of run ${body.run}, the log is at run ${next.run}`)
  const { closed: before, ...rest } = next
  const opened = { ...rest, epoch: body.epoch, leader: body.leader, run: body.run }
  if (before !== undefined && body.run === before.run) return { ...opened, closed: before }
  return body.run > next.run ? withoutEnding(opened) : opened
}

function foldDeploy(next: LogState, record: LogRecord, body: LogRecordOf<'DEPLOY'>): LogState {
  const [epoch, n] = attemptParts(body.attempt)
  const [lastEpoch, lastN] = attemptParts(next.deploy?.attempt ?? '0.0')
  if (epoch !== record.epoch)
    throw impossible(record, `attempt ${body.attempt} is not of epoch ${record.epoch}`)
  if (epoch === lastEpoch && n <= lastN)
    throw impossible(record, `attempt ${body.attempt} does not follow ${next.deploy?.attempt}`)
  if (body.run !== next.run)
    throw impossible(record, `it deploys run ${body.run}, the log is at run ${next.run}`)
  return { ...next, deploy: { ...body, seq: record.seq, at: record.at }, restorePoint: body.restoreFrom }
}

function foldCheckpoint(next: LogState, record: LogRecord, body: LogRecordOf<'CHECKPOINT'>): LogState {
  checkCheckpoint(next, record, body)
  const completed = { ...body, seq: record.seq, at: record.at }
  return {
    ...withRetirement(next, record, body.retires),
    retained: [...next.retained.filter((c) => !body.retires.includes(c.id)), completed],
    lastCheckpoint: completed,
    restorePoint: checkpointPoint(completed),
    highestId: Math.max(next.highestId, body.id),
    ...(body.end === undefined ? {} : { ending: { status: body.end, id: body.id } }),
  }
}

function checkCheckpoint(next: LogState, record: LogRecord, body: LogRecordOf<'CHECKPOINT'>): void {
  const { id, committedUpTo, base } = body
  checkOrigin(next, record, body)
  const last = Math.max(next.lastCheckpoint?.id ?? 0, stopId(next))
  if (id <= last || isSavepoint(next, id))
    throw impossible(record, `id ${id} was used before or is not above ${last}`)
  if (committedUpTo > id)
    throw impossible(record, `it commits up to ${committedUpTo}, above its own id ${id}`)
  if (next.ending !== undefined)
    throw impossible(record, `run ${next.run} ends with ${next.ending.id}: nothing is processed after it`)
  requireRetained(next, record, base === 0 ? [] : [base], 'is based on')
  requireRetained(next, record, body.retires, 'retires')
}

function checkOrigin(next: LogState, record: LogRecord, body: LogRecordOf<'CHECKPOINT'>): void {
  const { id, epoch, attempt } = body
  if (epoch !== record.epoch)
    throw impossible(record, `checkpoint ${id} is of epoch ${epoch}, not ${record.epoch}`)
  const deployed = next.deploy?.attempt
  if (deployed === attempt) return
  throw impossible(record, `checkpoint ${id} is of attempt ${attempt}, deployed is ${deployed ?? 'none'}`)
}

function foldSavepoint(next: LogState, record: LogRecord, body: LogRecordOf<'SAVEPOINT'>): LogState {
  const used = isSavepoint(next, body.id) || next.retained.some((c) => c.id === body.id)
  // A stopping savepoint commits transactions: it must cover more than every checkpoint. Others may
  // complete behind a newer checkpoint.
  if (used || (body.end !== undefined && body.id <= next.highestId))
    throw impossible(record, `id ${body.id} was used before or is not above ${next.highestId}`)
  const completed = { ...body, seq: record.seq, at: record.at }
  return {
    ...next,
    savepoints: [...next.savepoints, completed].slice(-KEPT),
    highestId: Math.max(next.highestId, body.id),
    ...(body.end === undefined
      ? {}
      : { ending: { status: body.end, id: body.id }, restorePoint: savepointPoint(body) }),
  }
}

/** A pin replaces the one before of the same holder; pins that have run out are dropped. */
function foldPin(next: LogState, record: LogRecord, body: LogRecordOf<'PIN'>): LogState {
  requireRetained(next, record, body.ids, 'pins')
  const others = next.pins.filter((p) => p.until > record.at && p.by !== body.by)
  return { ...next, pins: [...others, { ...body, seq: record.seq, at: record.at }] }
}

function foldClose(next: LogState, record: LogRecord, body: LogRecordOf<'CLOSE'>): LogState {
  if (body.run !== next.run)
    throw impossible(record, `it closes run ${body.run}, the log is at run ${next.run}`)
  return {
    ...withoutEnding(next),
    closed: { ...body, seq: record.seq, at: record.at },
    committedUpTo: Math.max(next.committedUpTo, body.committedUpTo),
  }
}

function withRetirement(state: LogState, record: LogRecord, ids: readonly CheckpointId[]): LogState {
  if (ids.length === 0) return state
  const checkpoints = state.retained
    .filter((c) => ids.includes(c.id))
    .map(({ id, manifest, sha256 }) => ({ id, manifest, sha256 }))
  const entry = { seq: record.seq, at: record.at, checkpoints }
  return { ...state, retirements: [...state.retirements, entry].slice(-KEPT) }
}

function requireRetained(
  state: LogState,
  record: LogRecord,
  ids: readonly CheckpointId[],
  verb: string,
): void {
  const id = ids.find((i) => !state.retained.some((c) => c.id === i))
  if (id !== undefined)
    throw impossible(
      record,
      `it ${verb} checkpoint ${id}, which is not retained ` +
        `(${state.retained.map((c) => c.id).join(', ') || 'none'} are)`,
    )
}

/**
 * Whether savepoint `id` is in the log. Older ones than the state remembers count as if they were.
 */
export function mayBeLogged({ savepoints }: LogState, id: CheckpointId): boolean {
  if (savepoints.some((s) => s.id === id)) return true
  return savepoints.length >= KEPT && id < (savepoints[0]?.id ?? 0)
}

const isSavepoint = (state: LogState, id: CheckpointId): boolean => state.savepoints.some((s) => s.id === id)
const stopId = (state: LogState): number => state.savepoints.findLast((s) => s.end !== undefined)?.id ?? 0

function withoutEnding(state: LogState): LogState {
  const { ending: _, ...rest } = state
  return rest
}

function savepointPoint({ path, sha256, manifest }: LogRecordOf<'SAVEPOINT'>): RestorePoint {
  const own = manifest === undefined ? {} : { manifest }
  return { kind: 'savepoint', path, sha256, ...own, lineage: 'succession', committedUpTo: 0 }
}

function checkpointPoint(checkpoint: CompletedCheckpoint): RestorePoint {
  return { kind: 'checkpoint', id: checkpoint.id, manifest: checkpoint.manifest, sha256: checkpoint.sha256 }
}

function attemptParts(attempt: AttemptId): readonly [epoch: Epoch, n: number] {
  const [epoch, n] = attempt.split('.').map(Number)
  return [epoch ?? 0, n ?? 0]
}

const impossible = (record: LogRecord, why: string): WeirError =>
  new WeirError(
    'STO_CORRUPT',
    `Commit log record ${record.seq} (${record.body.kind}) cannot stand where it is: ${why}.`,
    {
      context: { seq: record.seq, kind: record.body.kind },
    },
  )
