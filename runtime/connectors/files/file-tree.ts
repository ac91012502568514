import { retrying } from '#runtime/base/backoff'
import type { Clock } from '#runtime/base/clock'
import { WeirError } from '#runtime/base/errors'
import type { S3Access } from '#runtime/contract/process-config'
import type { FilePattern } from './file-pattern.ts'
import { LocalFileTree } from './local-file-tree.ts'
import { S3FileTree } from './s3-file-tree.ts'

/**
 * A file that was found. It is read once, and only as it was found: the first `sizeBytes` bytes, of
 * that version where the system has versions.
 */
export interface FileSplit {
  /** Local path, or s3:// URL: the identity of the file. */
  readonly path: string
  readonly sizeBytes: number
  readonly etag?: string | undefined
}

/** Where files are found and read: the local file system or a bucket. */
export interface FileTree {
  /** Size of one read. */
  readonly chunkBytes: number
  /**
   * Files of the pattern for which `isNew` is true, ordered by path. @throws {WeirError}
   * STO_MISSING when the pattern is not a glob and there is nothing
   */
  list(isNew: (path: string) => boolean): Promise<FileSplit[]>
  open(split: FileSplit): Promise<OpenFile>
  close(): void
}

export interface OpenFile {
  /**
   * Bytes [start, end) of the file, `end` <= its size. @throws {WeirError} STO_MISSING when the
   * file is shorter now, replaced, or gone
   */
  read(start: number, end: number): Promise<Buffer>
  close(): Promise<void>
}

export interface TreeContext {
  readonly clock: Clock
  readonly s3: S3Access | undefined
}

export function openFileTree(pattern: FilePattern, { clock, s3 }: TreeContext): FileTree {
  if (pattern.bucket === undefined) return new LocalFileTree(pattern)
  return new S3FileTree(pattern, pattern.bucket, requireS3(pattern.text, s3), clock)
}

/** @throws {WeirError} CFG_INVALID when the job has no S3 settings. */
export function requireS3(path: string, s3: S3Access | undefined): S3Access {
  if (s3 !== undefined) return s3
  throw new WeirError(
    'CFG_INVALID',
    `Cannot use ${path}: the job has no S3 settings. Give it S3 storage, or the block s3 with region, endpoint and credentials.`,
  )
}

const RETRY_LIMIT_MS = 60_000

/** The one layer that tries transient failures of a file system again. */
export function retryIo<T>(clock: Clock, what: string, work: () => Promise<T>): Promise<T> {
  return retrying(work, {
    what,
    limitMs: RETRY_LIMIT_MS,
    clock,
    random: () => 0.5,
    initialMs: 100,
    maxMs: 5000,
    multiplier: 2,
    jitter: 0,
  })
}
