/**
 * The records of the commit log (`log/<seq, 20 digits>.json`, dense, each created once) and the
 * manifest of a checkpoint: the persisted truth of a job. A checkpoint is complete if and only if
 * its CHECKPOINT record exists. Format version 1; later versions add records and optional fields,
 * never change one.
 */

import * as z from 'zod'
import {
  attemptId,
  checkpointId,
  checkpointIdOrNone,
  epoch,
  epochOrNone,
  runNumber,
} from '#runtime/contract/ids'

export const FORMAT_VERSION = 1

const owner = z.object({
  kind: z.literal('OWNER'),
  /** uid of namespace kube-system, or a generated id in local mode. */
  cluster: z.string(),
  namespace: z.string(),
  name: z.string(),
  uid: z.string(),
})
const epochOpen = z.object({
  kind: z.literal('EPOCH_OPEN'),
  epoch,
  run: runNumber,
  leader: z.string(),
})
/**
 * What a restore point is to the job that restores it; it decides what sinks do with the
 * transactions in it.
 *
 * succession: the job goes on from its own newest point, or takes over from a job that has ended at
 * its newest: the transactions were decided there, so they are committed.
 * rewind: the job goes back to an earlier point of its own on purpose: the transactions are
 * committed where they still exist.
 * fork: another job's point; that job may go on and does with its transactions what it likes:
 * they are neither committed nor removed.
 */
const lineage = z.enum(['succession', 'rewind', 'fork']).default('succession')
export type Lineage = z.infer<typeof lineage>

/** How a run ends. */
export const runEnd = z.enum(['Finished', 'Suspended', 'Drained'])
export type RunEnd = z.infer<typeof runEnd>

export const restorePoint = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('empty') }),
  z.object({
    kind: z.literal('checkpoint'),
    id: checkpointId,
    manifest: z.string(),
    sha256: z.string(),
  }),
  /**
   * `path` is a full URL (file:// or s3://) of a savepoint directory, outside or inside this job's
   * root.
   */
  z.object({
    kind: z.literal('savepoint'),
    path: z.string(),
    sha256: z.string().optional(),
    /**
     * Key of the job's own copy of its manifest, which is what is read. Only a savepoint with which
     * a run ended has one.
     */
    manifest: z.string().optional(),
    lineage,
    /** Its transactions up to this id are known to be committed. */
    committedUpTo: checkpointIdOrNone.default(0),
  }),
])
const deploy = z.object({
  kind: z.literal('DEPLOY'),
  attempt: attemptId,
  run: runNumber,
  planHash: z.string(),
  restoreFrom: restorePoint,
  why: z.string(),
})
const checkpoint = z.object({
  kind: z.literal('CHECKPOINT'),
  id: checkpointId,
  epoch,
  attempt: attemptId,
  /** Id of the checkpoint whose files this one may reuse; 0 = none. */
  base: checkpointIdOrNone,
  /** Key of the manifest: that of the base, where nothing has changed since. */
  manifest: z.string(),
  sha256: z.string(),
  sizeBytes: z.int().nonnegative(),
  /** Bytes newly written for this checkpoint. */
  deltaBytes: z.int().nonnegative(),
  /** Sinks may commit every id <= this one. */
  committedUpTo: checkpointId,
  /**
   * Ids dropped from the retained set by this record; their unreachable files may be deleted after
   * a grace.
   */
  retires: z.array(checkpointId),
  /**
   * The run ends with this checkpoint: nothing is processed after it. What is left for whoever
   * leads is to commit its transactions and to write CLOSE.
   */
  end: runEnd.optional(),
  stats: z.record(z.string(), z.number()).default({}),
})
const savepoint = z.object({
  kind: z.literal('SAVEPOINT'),
  id: checkpointId,
  path: z.string(),
  sha256: z.string(),
  sizeBytes: z.int().nonnegative(),
  /**
   * The attempt whose state it holds. Prepared transactions of that attempt up to the id are never
   * removed.
   */
  attempt: attemptId,
  /**
   * Present: the run ends with this savepoint, as with a CHECKPOINT that has it; sinks commit on
   * it, and it is the restore point until a later CHECKPOINT. Absent: a savepoint beside a running
   * job, which is never its restore point, and sinks do not commit on it.
   */
  end: runEnd.optional(),
  /**
   * Manifest key inside this job's root; set where `end` is, so that the restore point does not
   * depend on files the user owns.
   */
  manifest: z.string().optional(),
})
const pin = z.object({
  kind: z.literal('PIN'),
  ids: z.array(checkpointId),
  by: z.string(),
  until: z.int(),
})
const close = z.object({
  kind: z.literal('CLOSE'),
  run: runNumber,
  status: z.enum([...runEnd.options, 'Failed', 'Canceled']),
  /** Every sink has said that it committed up to this id. */
  committedUpTo: checkpointIdOrNone.default(0),
})

const common = {
  v: z.literal(FORMAT_VERSION),
  seq: z.int().nonnegative(),
  /**
   * Of the leader that appended it; 0 for OWNER. Every record after EPOCH_OPEN(e) until the next
   * EPOCH_OPEN carries e.
   */
  epoch: epochOrNone,
  /** Wall clock, for people only. */
  at: z.int(),
  /** Random, makes own bytes recognisable after an unknown outcome. */
  nonce: z.string(),
}
const logBody = z.discriminatedUnion('kind', [owner, epochOpen, deploy, checkpoint, savepoint, pin, close])
/** The same schemas by name, for what keeps bodies elsewhere (the log's snapshots). */
export const logBodies = { owner, epochOpen, deploy, checkpoint, savepoint, pin, close }
export type LogBody = z.infer<typeof logBody>
export type LogRecordOf<K extends LogBody['kind']> = Extract<LogBody, { kind: K }>
export const logRecord = z.object({ ...common, body: logBody })
export type LogRecord = z.infer<typeof logRecord>
export type RestorePoint = z.infer<typeof restorePoint>

/**
 * A state file: written once by one subtask for one checkpoint; layout in state/snapshot-format.ts.
 */
const stateFile = z.object({
  /**
   * Key below the job's root (checkpoints) or below the savepoint's directory (savepoints:
   * relocatable). Absent when inlined.
   */
  key: z.string().optional(),
  /** Base64 of the file's bytes when it is at most 20 KiB. Exactly one of `key` and `inline`. */
  inline: z.string().optional(),
  sizeBytes: z.int().nonnegative(),
  sha256: z.string(),
  /** Checkpoint id that wrote it. */
  writtenBy: z.int().positive(),
  /** Whole image or changes against the file before it in the chain. */
  mode: z.enum(['full', 'delta']),
})
export type StateFile = z.infer<typeof stateFile>

export const subtaskState = z.object({
  subtask: z.int().nonnegative(),
  /** Key groups [from, to) that this subtask owned. */
  keyGroups: z.tuple([z.int().nonnegative(), z.int().nonnegative()]),
  /** Keyed state, oldest file first; the first is full. Empty: the subtask has none. */
  chain: z.array(stateFile),
  /** All list states of the subtask; each one replaces the one before. Absent: it has none. */
  lists: stateFile.optional(),
})
export type SubtaskState = z.infer<typeof subtaskState>

/** A keyed state of one operator, as it was declared and as it was found when it was written. */
export const storedState = z.object({
  uid: z.string(),
  name: z.string(),
  /** As the plan says them. */
  kind: z.string(),
  version: z.int().positive(),
  schema: z.string().optional(),
  /** Kinds of its keys and values, such as `string` or `list`; empty: it holds nothing. */
  keys: z.array(z.string()),
  values: z.array(z.string()),
})
export type StoredState = z.infer<typeof storedState>

const vertexState = z.object({
  vertex: z.string(),
  /** uids of the operators whose sections the files hold. */
  uids: z.array(z.string()),
  /** Keyed states of these operators. */
  states: z.array(storedState),
  parallelism: z.int().positive(),
  subtasks: z.array(subtaskState),
})

export type VertexState = z.infer<typeof vertexState>

/**
 * The whole of a checkpoint or savepoint. Stored as `<root>/chk/<id>-<epoch>/manifest.json` or
 * `<savepoint>/manifest.json`.
 */
export const manifest = z.object({
  v: z.literal(FORMAT_VERSION),
  type: z.enum(['checkpoint', 'savepoint']),
  /** Of the first checkpoint that it describes; later ones without changes may share it. */
  id: checkpointId,
  epoch,
  attempt: attemptId,
  job: z.object({ namespace: z.string(), name: z.string(), uid: z.string() }),
  createdAt: z.int(),
  planHash: z.string(),
  maxParallelism: z.int().positive(),
  base: checkpointIdOrNone,
  vertices: z.array(vertexState),
  sizeBytes: z.int().nonnegative(),
})
export type Manifest = z.infer<typeof manifest>
