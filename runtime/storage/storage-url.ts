import { isAbsolute, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { WeirError } from '#runtime/base/errors'
import type { S3Access, StorageConfig } from '#runtime/contract/process-config'
import { MANIFEST } from './paths.ts'

/**
 * `s3://bucket/key` (key without leading or trailing slash, may be empty, taken literally) or
 * `file:///path` (a plain absolute path is one too).
 */
export type StorageUrl =
  | { readonly type: 's3'; readonly bucket: string; readonly key: string }
  | { readonly type: 'file'; readonly path: string }

/** @throws {WeirError} CFG_INVALID */
export function parseStorageUrl(text: string): StorageUrl {
  const s3 = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(.*))?$/s.exec(text)
  if (s3?.[1] !== undefined)
    return { type: 's3', bucket: s3[1], key: (s3[2] ?? '').replace(/^\/+|\/+$/g, '') }
  if (isAbsolute(text)) return { type: 'file', path: resolve(text) }
  if (text.startsWith('file:///')) {
    try {
      return { type: 'file', path: resolve(fileURLToPath(text)) }
    } catch (error) {
      throw invalid(text, error)
    }
  }
  throw invalid(text)
}

const invalid = (text: string, cause?: unknown): WeirError =>
  new WeirError(
    'CFG_INVALID',
    `Not a storage URL: ${JSON.stringify(text)}. Expected s3://bucket/key or file:///path.`,
    { cause },
  )

/** The S3 settings that a process uses for s3:// paths. */
export function s3AccessOf(config: {
  readonly s3?: S3Access | undefined
  readonly storage: StorageConfig
}): S3Access | undefined {
  return config.s3 ?? (config.storage.type === 's3' ? config.storage.access : undefined)
}

export interface ManifestPlace {
  /** URL of the store in which the manifest's file keys are resolved. */
  readonly root: string
  readonly key: string
}

/**
 * Where a restore path leads. `.../chk/<id>-<epoch>/manifest.json` (or its directory) is a
 * checkpoint: its files are below the job's root. Everything else is a savepoint directory or the
 * manifest.json in it: its files are below that directory. @throws {WeirError} CFG_INVALID
 */
export function locateManifest(url: string): ManifestPlace {
  parseStorageUrl(url)
  const directory = url.replace(/\/+$/, '').replace(new RegExp(`/${MANIFEST.replace('.', '\\.')}$`), '')
  const checkpoint = /^(.+)\/(chk\/[0-9]+-[0-9]+)$/.exec(directory)
  if (checkpoint?.[1] !== undefined) return { root: checkpoint[1], key: `${checkpoint[2]}/${MANIFEST}` }
  return { root: directory, key: MANIFEST }
}
