import { WeirError, invariant } from '#runtime/base/errors'
import { sha256Of } from '#runtime/base/sha256'
import type { ExecutionPlan } from '#runtime/contract/job-plan'
import type { CheckpointStore } from '#runtime/storage/checkpoint-store'
import { keyUrl, manifestDirectory } from '#runtime/storage/paths'
import type { Stores } from '#runtime/storage/stores'
import { locateManifest } from '#runtime/storage/storage-url'
import { readManifest } from '#runtime/commit-log/manifest-io'
import type { Manifest, RestorePoint, StateFile, SubtaskState } from '#runtime/contract/checkpoint-records'
import type { CheckpointId } from '#runtime/contract/ids'
import { matchStates } from './match-states.ts'

/** A restore point opened for reading: its manifest, and its files by their SHA-256. */
export interface OpenRestorePoint {
  /** As the log says; checkpoints without changes share the manifest of an earlier one. */
  readonly checkpointId: CheckpointId
  readonly manifest: Manifest
  readonly url: string
  /** The file's bytes, verified. @throws {WeirError} STO_CORRUPT or STO_MISSING naming the file. */
  read(file: StateFile): Promise<Uint8Array>
  close(): Promise<void>
}

/** Opens what a DEPLOY record names; undefined for `empty`. */
export async function openRestorePoint(
  point: RestorePoint,
  stores: Stores,
): Promise<OpenRestorePoint | undefined> {
  const { own } = stores
  switch (point.kind) {
    case 'empty':
      return undefined
    case 'checkpoint': {
      const opened = await openOwn(own, point.manifest, point.sha256)
      return { ...opened, checkpointId: point.id, url: keyUrl(own.url, point.manifest) }
    }
    case 'savepoint': {
      const { path, manifest, sha256 } = point
      if (manifest === undefined) return openForeign(path, stores, sha256)
      return { ...(await openOwn(own, manifest, sha256, `${manifestDirectory(manifest)}/`)), url: path }
    }
  }
}

/** `prefix`: stands before the keys in the manifest; those of a savepoint lack its directory. */
async function openOwn(
  store: CheckpointStore,
  key: string,
  sha256: string | undefined,
  prefix = '',
): Promise<Omit<OpenRestorePoint, 'url'>> {
  const manifest = await readManifest(store, key, sha256)
  return {
    checkpointId: manifest.id,
    manifest,
    read: (file) => readFile(store, file, prefix),
    close: async () => {},
  }
}

/**
 * Opens a savepoint or checkpoint by its URL. @throws {WeirError} CKP_RESTORE when there is none,
 * CFG_INVALID when `path` is no such URL
 */
export async function openForeign(path: string, stores: Stores, sha256?: string): Promise<OpenRestorePoint> {
  const place = locateManifest(path)
  const foreign = stores.at(place.root)
  try {
    const manifest = await readManifest(foreign, place.key, sha256)
    return {
      checkpointId: manifest.id,
      manifest,
      url: path,
      read: (file) => readFile(foreign, file),
      close: () => foreign.close(),
    }
  } catch (error) {
    await foreign.close()
    if (!(error instanceof WeirError) || error.code !== 'STO_MISSING') throw error
    throw new WeirError(
      'CKP_RESTORE',
      `Cannot restore from ${path}: there is no ${keyUrl(foreign.url, place.key)}. ` +
        'Give the directory of a savepoint or the manifest.json of a checkpoint.',
      { cause: error },
    )
  }
}

async function readFile(store: CheckpointStore, file: StateFile, prefix = ''): Promise<Uint8Array> {
  invariant(
    (file.key === undefined) !== (file.inline === undefined),
    'a state file is either inlined or stored',
  )
  const bytes =
    file.inline === undefined ? await store.get(`${prefix}${file.key}`) : Buffer.from(file.inline, 'base64')
  const sha256 = sha256Of(bytes)
  if (bytes.byteLength === file.sizeBytes && sha256 === file.sha256) return bytes
  const name =
    file.key === undefined
      ? `a file inlined in the manifest (written by checkpoint ${file.writtenBy})`
      : keyUrl(store.url, `${prefix}${file.key}`)
  const found = `${bytes.byteLength} bytes with SHA-256 ${sha256}`
  const expected = `the manifest says ${file.sizeBytes} bytes with ${file.sha256}`
  throw new WeirError('STO_CORRUPT', `${name} is damaged: ${found}, ${expected}.`)
}

/**
 * uid of a plan's operator -> uid its state is stored under (itself, or a former one). Only
 * operators with state in the manifest. Pure.
 */
export function matchUids(
  manifest: Manifest,
  plan: ExecutionPlan,
): { readonly stored: Record<string, string>; readonly unmatched: string[] } {
  const available = new Set(manifest.vertices.flatMap((v) => (v.subtasks.some(hasState) ? v.uids : [])))
  const stored: Record<string, string> = {}
  for (const operator of plan.vertices.flatMap((v) => v.operators)) {
    const uid = [operator.uid, ...operator.formerly].find((u) => available.has(u))
    if (uid !== undefined) stored[operator.uid] = uid
  }
  const used = new Set(Object.values(stored))
  return { stored, unmatched: [...available].filter((uid) => !used.has(uid)).sort() }
}

const hasState = ({ chain, lists }: SubtaskState): boolean => chain.length > 0 || lists !== undefined

/**
 * @throws {WeirError} CKP_RESTORE when the plan cannot take over the state: what does not fit, and
 *   what to do. Pure.
 */
export function checkRestorable(
  manifest: Manifest,
  url: string,
  plan: ExecutionPlan,
  allowNonRestoredState: boolean,
): void {
  if (manifest.maxParallelism !== plan.maxParallelism)
    throw new WeirError(
      'CKP_RESTORE',
      `Cannot restore ${url}: it was taken with maxParallelism ${manifest.maxParallelism}, the job has ` +
        `${plan.maxParallelism}. maxParallelism cannot change once state exists: set it back to ` +
        `${manifest.maxParallelism}.`,
    )
  const { stored, unmatched } = matchUids(manifest, plan)
  if (allowNonRestoredState) return
  if (unmatched.length > 0)
    throw new WeirError(
      'CKP_RESTORE',
      `Cannot restore ${url}: it holds state of ${unmatched.map((u) => JSON.stringify(u)).join(', ')}, ` +
        'which no operator of the job takes over. Keep the uid, name the old one in `formerly`, or set ' +
        'allowNonRestoredState (weir: --allow-non-restored-state) to drop that state.',
    )
  const states = matchStates(manifest, plan, stored).unmatched
  const [first] = states
  if (first === undefined) return
  const text = states.length === 1 ? first : `${states.length} states do not fit:\n- ${states.join('\n- ')}`
  throw new WeirError('CKP_RESTORE', `Cannot restore ${url}: ${text}`)
}
