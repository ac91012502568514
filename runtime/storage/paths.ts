/**
 * The one place that builds and reads keys of the checkpoint store. Layout below a job's root
 * `<prefix>/<namespace>/<name>/<uid>`:
 *
 *   log/<seq, 20 digits>.json                          commit log record
 *   log/snap-<seq, 20 digits>.json                     the log folded up to and including seq
 *   chk/<id>-<epoch>/manifest.json                     checkpoint
 *   chk/<id>-<epoch>/<vertex>-<subtask>-<attempt>.state      keyed state of a subtask
 *   chk/<id>-<epoch>/<vertex>-<subtask>-<attempt>.lists      its list states
 *   savepoints/<id>-<epoch>/...       default place of savepoints: manifest.json and state files,
 *                                     whose names have -<id> behind the attempt
 *
 * I1 No key is another key's directory: every key above is a leaf, and directories are never
 *    written.
 * I2 Keys consist of segments that match SEGMENT; other characters of user-given names are escaped,
 *    so that different names give different keys.
 */
import { createHash } from 'node:crypto'
import { invariant, WeirError } from '#runtime/base/errors'
import type { AttemptId, CheckpointId, Epoch } from '#runtime/contract/ids'

const SEGMENT = /^[A-Za-z0-9_=-][A-Za-z0-9._=-]*$/
const SEQ_DIGITS = 20
const MAX_NAME = 100

export const MANIFEST = 'manifest.json'
export const LOG_PREFIX = 'log/'
export const LOG_SNAPSHOT_PREFIX = 'log/snap-'
export const CHECKPOINT_PREFIX = 'chk/'
export const SAVEPOINT_PREFIX = 'savepoints/'

/** @throws {WeirError} BUG when `key` is not a valid key. */
export function assertKey(key: string): void {
  invariant(
    key.length <= 1000 && key.split('/').every((s) => SEGMENT.test(s)),
    `${JSON.stringify(key)} is not a valid storage key`,
  )
}

/** A prefix for `list`: empty, or the beginning of a valid key. */
export function assertPrefix(prefix: string): void {
  if (prefix !== '') assertKey(prefix.endsWith('/') ? prefix.slice(0, -1) : prefix)
}

/**
 * Escapes a user-given name (uid, vertex, namespace) into one key segment. Injective: `=XX` per
 * byte outside [A-Za-z0-9._-] (a leading dot too); names that get longer than 100 characters keep
 * 60 of them, then `==` (which no escape contains) and 128 bits of their SHA-256.
 */
export function encodeName(name: string): string {
  let text = ''
  for (const byte of Buffer.from(name, 'utf8')) {
    const char = String.fromCharCode(byte)
    text +=
      /[A-Za-z0-9_-]/.test(char) || (char === '.' && text !== '')
        ? char
        : `=${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  if (text === '') return '=='
  if (text.length <= MAX_NAME) return text
  return `${text.slice(0, 60)}==${createHash('sha256').update(name).digest('hex').slice(0, 32)}`
}

/**
 * `<prefix>/<namespace>/<name>/<uid>`; `prefix` is an S3 key prefix or a directory, may be empty.
 */
export function jobRoot(
  prefix: string,
  job: { readonly namespace: string; readonly name: string; readonly uid: string },
): string {
  const tail = [job.namespace, job.name, job.uid].map(encodeName).join('/')
  const head = prefix.replace(/\/+$/, '')
  return head === '' && !prefix.startsWith('/') ? tail : `${head}/${tail}`
}

function digits(seq: number): string {
  invariant(Number.isSafeInteger(seq) && seq >= 0, `${seq} is not a sequence number`)
  return String(seq).padStart(SEQ_DIGITS, '0')
}

export const logRecordKey = (seq: number): string => `log/${digits(seq)}.json`
export const logSnapshotKey = (seq: number): string => `${LOG_SNAPSHOT_PREFIX}${digits(seq)}.json`

/** The seq of a record or snapshot key; undefined for any other key. */
export function parseLogKey(
  key: string,
): { readonly kind: 'record' | 'snapshot'; readonly seq: number } | undefined {
  const match = /^log\/(snap-)?([0-9]{20})\.json$/.exec(key)
  return match === null
    ? undefined
    : { kind: match[1] === undefined ? 'record' : 'snapshot', seq: Number(match[2]) }
}

/**
 * Directory (without trailing slash) of everything that checkpoint `id` triggered under `epoch`
 * writes.
 */
/** A checkpoint or savepoint: ids are unique within an epoch. */
interface Numbered {
  readonly id: CheckpointId
  readonly epoch: Epoch
}
export const checkpointDirectory = ({ id, epoch }: Numbered): string => `chk/${id}-${epoch}`
export const savepointDirectory = ({ id, epoch }: Numbered): string => `savepoints/${id}-${epoch}`
export const manifestKey = (directory: string): string =>
  directory === '' ? MANIFEST : `${directory}/${MANIFEST}`

/** The directory of a manifest, without trailing slash: what `manifestKey` was given. */
export const manifestDirectory = (key: string): string => key.slice(0, -MANIFEST.length).replace(/\/$/, '')

/** What tells a state file from every other in its directory. */
export interface StateFileName {
  readonly vertex: string
  readonly subtask: number
  readonly attempt: AttemptId
  readonly part: 'state' | 'lists'
  /** Of a savepoint, whose directory several tries may share. */
  readonly savepointId?: CheckpointId
}

/**
 * State file of one subtask in a checkpoint's or savepoint's directory. Unique: subtask and attempt
 * hold no `-`.
 */
export function stateFileKey(
  directory: string,
  { vertex, subtask, attempt, part, savepointId }: StateFileName,
): string {
  const id = savepointId === undefined ? '' : `-${savepointId}`
  const name = `${encodeName(vertex)}-${subtask}-${attempt}${id}.${part}`
  return directory === '' ? name : `${directory}/${name}`
}

/** Id and epoch of the checkpoint whose directory holds `key`; undefined outside `chk/`. */
export function parseCheckpointKey(
  key: string,
): { readonly id: CheckpointId; readonly epoch: Epoch } | undefined {
  const match = /^chk\/([0-9]+)-([0-9]+)\//.exec(key)
  return match === null ? undefined : { id: Number(match[1]), epoch: Number(match[2]) }
}

export interface SavepointKey {
  readonly directory: string
  readonly id: CheckpointId
  readonly epoch: Epoch
  /** The name is one that a task gives to its file of this very savepoint. */
  readonly isOwnFile: boolean
}

/**
 * Which savepoint in its default place `key` lies in; undefined elsewhere, also in directories
 * below, which are a user's own.
 */
export function parseSavepointKey(key: string): SavepointKey | undefined {
  const match = /^(savepoints\/([0-9]+)-([0-9]+))\/([^/]+)$/.exec(key)
  if (match === null) return undefined
  const [, directory = '', id = '', epoch = '', name = ''] = match
  const isOwnFile = name.endsWith(`-${id}.state`) || name.endsWith(`-${id}.lists`)
  return { directory, id: Number(id), epoch: Number(epoch), isOwnFile }
}

/** Joins a store's root with a key below it. */
export function joinKey(root: string, key: string): string {
  const trimmed = root.replace(/^\/+|\/+$/g, '')
  return trimmed === '' ? key : `${trimmed}/${key}`
}

/** The key `key` of `store` for people. */
export const keyUrl = (storeUrl: string, key: string): string => `${storeUrl.replace(/\/+$/, '')}/${key}`

/** @throws {WeirError} STO_MISSING naming the object. */
export function missing(storeUrl: string, key: string, cause?: unknown): WeirError {
  return new WeirError('STO_MISSING', `${keyUrl(storeUrl, key)} does not exist.`, { cause, context: { key } })
}
