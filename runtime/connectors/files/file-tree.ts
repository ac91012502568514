/**
 * A file that was found. It is read once, and only as it was found: the first `sizeBytes` bytes, of
 * that version where the system has versions.
 */
export interface FileSplit {
  /** Local path, or s3:// URL: the identity of the file. */
  readonly path: string
  readonly sizeBytes: number
  readonly etag?: string | undefined
  /** Absent: the whole file. */
  readonly part?: FilePart | undefined
}

/**
 * The lines that begin in [from, to), in bytes: a line belongs to one part of a file, wherever it
 * ends.
 */
export interface FilePart {
  readonly from: number
  readonly to: number
}

/** Parts of about `partBytes`, where the file is larger than that. */
export function partsOf(file: FileSplit, partBytes: number): FileSplit[] {
  const count = Math.ceil(file.sizeBytes / partBytes)
  if (count <= 1) return [file]
  const edge = (i: number) => Math.floor((file.sizeBytes * i) / count)
  return Array.from({ length: count }, (_, i) => ({ ...file, part: { from: edge(i), to: edge(i + 1) } }))
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
