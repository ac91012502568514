import { createHash } from 'node:crypto'
import { type Clock, systemClock } from '#runtime/base/clock'
import { WeirError } from '#runtime/base/errors'
import { sha256Of } from '#runtime/base/sha256'
import type { CallOptions, CheckpointStore } from '#runtime/storage/checkpoint-store'
import { createExact } from '#runtime/storage/create-exact'
import { checkpointDirectory, keyUrl, manifestKey, savepointDirectory } from '#runtime/storage/paths'
import { decodeStored, encodeJson } from './log-reader.ts'
import {
  type Manifest,
  manifest as manifestSchema,
  type StateFile,
} from '#runtime/contract/checkpoint-records'

export interface WriteManifestOptions extends CallOptions {
  /**
   * Where `manifest.json` goes; '' for a store opened at a savepoint's own directory. Default: the
   * checkpoint's or savepoint's directory below the job's root.
   */
  readonly directory?: string
  readonly clock?: Clock
  readonly random?: () => number
  readonly limitMs?: number
  /** See CreateExactOptions. */
  readonly onRetry?: (error: unknown) => void
}

export interface WrittenManifest {
  readonly key: string
  readonly sha256: string
}

/**
 * Writes the manifest; safe to repeat with an equal one. @throws {WeirError} STO_EXISTS when
 * another one stands there.
 */
export async function writeManifest(
  store: CheckpointStore,
  manifest: Manifest,
  options: WriteManifestOptions = {},
): Promise<WrittenManifest> {
  const {
    clock = systemClock,
    random = Math.random,
    directory = defaultDirectory(manifest),
    ...rest
  } = options
  const bytes = encodeJson(manifestSchema.parse(manifest))
  const key = manifestKey(directory)
  await createExact(store, key, bytes, { ...rest, clock, random })
  return { key, sha256: sha256Of(bytes) }
}

const defaultDirectory = (m: Manifest): string =>
  m.type === 'checkpoint' ? checkpointDirectory(m) : savepointDirectory(m)

/**
 * @throws {WeirError} STO_CORRUPT naming the object when its hash or format is wrong; STO_MISSING.
 */
export async function readManifest(
  store: CheckpointStore,
  key: string,
  sha256?: string,
  call: CallOptions = {},
): Promise<Manifest> {
  const bytes = await store.get(key, call)
  const url = keyUrl(store.url, key)
  const found = sha256Of(bytes)
  if (sha256 !== undefined && found !== sha256)
    throw new WeirError(
      'STO_CORRUPT',
      `Manifest ${url} is damaged: its SHA-256 is ${found}, the commit log says ${sha256}.`,
      {
        context: { url, expected: sha256, found },
      },
    )
  return decodeStored(manifestSchema, bytes, 'Manifest', url)
}

/** Keys of all stored (not inlined) files of a manifest, as they stand in it. */
export function fileKeys(manifest: Manifest): string[] {
  return [...stateFiles(manifest)].flatMap(({ file }) => file.key ?? [])
}

export interface PlacedFile {
  readonly vertex: string
  readonly subtask: number
  readonly holds: 'keyed state' | 'list states'
  readonly file: StateFile
}

export function* stateFiles({ vertices }: Pick<Manifest, 'vertices'>): Generator<PlacedFile> {
  for (const { vertex, subtasks } of vertices)
    for (const { subtask, chain, lists } of subtasks) {
      for (const file of chain) yield { vertex, subtask, holds: 'keyed state', file }
      if (lists !== undefined) yield { vertex, subtask, holds: 'list states', file: lists }
    }
}

export interface FileCheck extends PlacedFile {
  /** URL of the file; `inline` for bytes in the manifest. */
  readonly url: string
  readonly problem: 'missing' | 'wrong length' | 'wrong hash' | undefined
  /** The problem with its values, for people. */
  readonly detail: string | undefined
}

/**
 * Reads every file of `manifest` and compares length and SHA-256; yields one check per file, as it
 * goes. `store`: where the manifest's keys are resolved.
 */
export async function* verifyCheckpoint(
  store: CheckpointStore,
  manifest: Manifest,
  call: CallOptions = {},
): AsyncGenerator<FileCheck> {
  for (const placed of stateFiles(manifest)) {
    const { file } = placed
    const url = file.key === undefined ? 'inline' : keyUrl(store.url, file.key)
    yield { ...placed, url, ...(await checkFile(store, file, call)) }
  }
}

const READ_BYTES = 8 * 1024 * 1024

async function checkFile(
  store: CheckpointStore,
  file: StateFile,
  call: CallOptions,
): Promise<Pick<FileCheck, 'problem' | 'detail'>> {
  const hash = createHash('sha256')
  let length = 0
  try {
    for await (const bytes of chunksOf(store, file, call)) {
      hash.update(bytes)
      length += bytes.byteLength
    }
  } catch (error) {
    if (error instanceof WeirError && error.code === 'STO_MISSING')
      return { problem: 'missing', detail: error.message }
    throw error
  }
  if (length !== file.sizeBytes)
    return { problem: 'wrong length', detail: `${length} bytes, the manifest says ${file.sizeBytes}` }
  const sha256 = hash.digest('hex')
  if (sha256 !== file.sha256)
    return { problem: 'wrong hash', detail: `SHA-256 ${sha256}, the manifest says ${file.sha256}` }
  return { problem: undefined, detail: undefined }
}

async function* chunksOf(
  store: CheckpointStore,
  file: StateFile,
  call: CallOptions,
): AsyncGenerator<Uint8Array> {
  if (file.key === undefined) {
    yield Buffer.from(file.inline ?? '', 'base64')
    return
  }
  for (let at = 0; ; at += READ_BYTES) {
    const bytes = await store.getRange(file.key, at, at + READ_BYTES, call)
    yield bytes
    if (bytes.byteLength < READ_BYTES) return
  }
}
