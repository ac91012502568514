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

/** Where files are found and read: a disk or a bucket. */
export interface FileTree {
  /** Size of one read. */
  readonly chunkBytes: number
  /**
   * Files of the pattern for which `isNew` is true, ordered by path. @throws {WeirError}
   * STO_MISSING when the pattern is not a glob and there is nothing
   */
  list(isNew: (path: string) => boolean): Promise<FileSplit[]>
  /** @throws {WeirError} STO_MISSING when the file is gone */
  open(split: FileSplit): Promise<OpenFile>
}

export interface OpenFile {
  /**
   * Bytes [start, end) of the file, `end` <= its size. @throws {WeirError} STO_MISSING when the
   * file is shorter now, replaced, or gone
   */
  read(start: number, end: number): Promise<Buffer>
  close(): Promise<void>
}
