/**
 * Where the files of a savepoint go. Tasks write below the job's root only: a place elsewhere is
 * filled by copying before the savepoint counts as completed.
 */
import type { Clock } from '#runtime/base/clock'
import { messageOf, WeirError } from '#runtime/base/errors'
import { fileKeys } from '#runtime/commit-log/manifest-io'
import type { Manifest } from '#runtime/contract/checkpoint-records'
import type { CheckpointId, Epoch } from '#runtime/contract/ids'
import type { CheckpointStore } from '#runtime/storage/checkpoint-store'
import { createExact } from '#runtime/storage/create-exact'
import { assertKey, keyUrl, savepointDirectory } from '#runtime/storage/paths'
import { parseStorageUrl, type StorageUrl } from '#runtime/storage/storage-url'

export interface SavepointPlace {
  /** Key below the job's root that the tasks write to. */
  readonly directory: string
  /** For people and for restoring. */
  readonly url: string
  /** URL to copy the finished files to; absent: they stay where the tasks wrote them. */
  readonly copyTo?: string
}

const RESERVED = new Set(['log', 'chk'])

/**
 * `path`: absent (savepoints/ of the job), a key below the job's root, or a URL. It is the
 * savepoint's own directory: a second savepoint needs another one.
 * @throws {WeirError} CFG_INVALID
 */
export function placeSavepoint(
  path: string | undefined,
  storeUrl: string,
  of: { readonly id: CheckpointId; readonly epoch: Epoch },
): SavepointPlace {
  const own = savepointDirectory(of)
  if (path === undefined) return { directory: own, url: keyUrl(storeUrl, own) }
  const isUrl = path.includes('://') || path.startsWith('/')
  const relative = isUrl ? keyWithin(path, storeUrl) : path
  if (relative === undefined)
    return { directory: own, url: path.replace(/\/+$/, ''), copyTo: path.replace(/\/+$/, '') }
  const directory = relative.replace(/^\/+|\/+$/g, '')
  try {
    assertKey(directory)
  } catch (error) {
    throw invalid(path, 'segments of letters, digits and . _ = - between slashes', error)
  }
  if (RESERVED.has(directory.replace(/\/.*$/, '')))
    throw invalid(path, `a directory outside ${[...RESERVED].join(', ')}`)
  return { directory, url: keyUrl(storeUrl, directory) }
}

/**
 * Why no savepoint can be written to `path`, whatever the job does; undefined when one can.
 * `elsewhere`: places outside the job's storage can be reached.
 */
export function pathRefusal(
  path: string | undefined,
  storeUrl: string,
  elsewhere: boolean,
): WeirError | undefined {
  try {
    const { copyTo } = placeSavepoint(path, storeUrl, { id: 1, epoch: 1 })
    if (copyTo === undefined || elsewhere) return undefined
    return new WeirError('CFG_INVALID', `Savepoint path ${copyTo} is outside the job's storage ${storeUrl}.`)
  } catch (error) {
    if (error instanceof WeirError) return error
    throw error
  }
}

function keyWithin(url: string, storeUrl: string): string | undefined {
  const inner = parse(url)
  const outer = tryParse(storeUrl)
  if (outer === undefined) return undefined
  const [from, root] = [pathOf(inner), pathOf(outer)]
  if (
    inner.type !== outer.type ||
    (inner.type === 's3' && outer.type === 's3' && inner.bucket !== outer.bucket)
  )
    return undefined
  return from === root || from.startsWith(root === '' ? '' : `${root}/`) ? from.slice(root.length) : undefined
}

const pathOf = (url: StorageUrl): string => (url.type === 's3' ? url.key : url.path)

function parse(url: string): StorageUrl {
  try {
    return parseStorageUrl(url)
  } catch (error) {
    throw invalid(url, 'a key below the job’s storage, s3://bucket/key or file:///path', error)
  }
}

function tryParse(url: string): StorageUrl | undefined {
  try {
    return parseStorageUrl(url)
  } catch {
    return undefined
  }
}

const invalid = (path: string, expected: string, cause?: unknown): WeirError =>
  new WeirError(
    'CFG_INVALID',
    `Not a place for a savepoint: ${JSON.stringify(path)}. Expected ${expected}.`,
    {
      cause: cause === undefined ? undefined : messageOf(cause),
    },
  )

export interface CopyOptions {
  readonly clock: Clock
  readonly random: () => number
}

/**
 * Copies the state files of a finished savepoint from the job's storage to the root of `to`.
 * Repeating it is harmless.
 */
export async function copySavepointFiles(
  from: { readonly store: CheckpointStore; readonly directory: string },
  manifest: Manifest,
  to: CheckpointStore,
  options: CopyOptions,
): Promise<void> {
  for (const key of fileKeys(manifest))
    await createExact(to, key, await from.store.get(`${from.directory}/${key}`), options)
}
