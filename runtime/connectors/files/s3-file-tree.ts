import type { Bucket } from '#runtime/storage/bucket'
import { matchesPattern, type FilePattern } from './file-pattern.ts'
import type { FileSplit, FileTree, OpenFile } from './file-tree.ts'

/**
 * Objects of a bucket, read by ranges of the version that was found. A prefix without objects is
 * empty, not missing.
 */
export class S3FileTree implements FileTree {
  readonly chunkBytes = 2 * 1024 * 1024
  readonly #pattern: FilePattern
  readonly #bucket: Bucket
  readonly #root: string

  constructor(pattern: FilePattern, bucket: Bucket) {
    this.#pattern = pattern
    this.#bucket = bucket
    this.#root = bucket.url('')
  }

  async list(isNew: (path: string) => boolean): Promise<FileSplit[]> {
    const { base } = this.#pattern
    const found: FileSplit[] = []
    for (const { key, sizeBytes, etag } of await this.#bucket.list(base))
      if (matchesPattern(this.#pattern, key) && isNew(this.#root + key))
        found.push({ path: this.#root + key, sizeBytes, ...(etag === undefined ? {} : { etag }) })
    return found
  }

  open({ path, etag }: FileSplit): Promise<OpenFile> {
    const key = path.slice(this.#root.length)
    return Promise.resolve({
      read: async (start, end) => {
        const bytes = await this.#bucket.getRange(key, start, end, etag)
        return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      },
      close: () => Promise.resolve(),
    })
  }
}
