import type { Clock } from '#runtime/base/clock'
import type { S3Objects, S3Part, S3Upload } from '#runtime/storage/s3-objects'
import { retryIo } from './file-tree.ts'
import type { FileCommittable, Output, OutputFile, OutputNames } from './output.ts'

/** S3 asks for at least 5 MiB in all parts but the last. */
const PART_BYTES = 8 * 1024 * 1024

/**
 * Objects below a prefix: multipart uploads, which nobody sees until they are completed at commit.
 */
export class S3Output implements Output {
  readonly #bucket: string
  readonly #prefix: string
  readonly #names: OutputNames
  readonly #objects: S3Objects
  readonly #clock: Clock

  /** `prefix` is '' or ends in "/". Owns `objects`. */
  constructor(bucket: string, prefix: string, names: OutputNames, objects: S3Objects, clock: Clock) {
    this.#bucket = bucket
    this.#prefix = prefix
    this.#names = names
    this.#objects = objects
    this.#clock = clock
  }

  begin(number: number): OutputFile {
    return new S3OutputFile(
      this.#bucket,
      this.#prefix + this.#names.final(number),
      this.#objects,
      this.#clock,
    )
  }

  async recover(restored: readonly FileCommittable[]): Promise<void> {
    const keep = new Set(restored.map((c) => (c.type === 's3' ? c.uploadId : '')))
    const uploads = await retryIo(this.#clock, `list uploads to ${this.#objects.url(this.#prefix)}`, () =>
      this.#objects.listUploads(`${this.#prefix}part-`),
    )
    for (const upload of uploads)
      if (!keep.has(upload.uploadId) && this.#names.isOlderFinal(upload.key.slice(this.#prefix.length)))
        await this.#objects.abortUpload(upload)
  }

  close(): void {
    this.#objects.close()
  }
}

class S3OutputFile implements OutputFile {
  readonly #bucket: string
  readonly #key: string
  readonly #objects: S3Objects
  readonly #clock: Clock
  readonly #parts: S3Part[] = []
  #upload: S3Upload | undefined
  #buffered: Buffer[] = []
  #bufferedBytes = 0

  constructor(bucket: string, key: string, objects: S3Objects, clock: Clock) {
    this.#bucket = bucket
    this.#key = key
    this.#objects = objects
    this.#clock = clock
  }

  async append(bytes: Buffer): Promise<void> {
    this.#buffered.push(bytes)
    this.#bufferedBytes += bytes.length
    if (this.#bufferedBytes >= PART_BYTES) await this.#uploadPart()
  }

  async finish(): Promise<FileCommittable> {
    if (this.#bufferedBytes > 0) await this.#uploadPart()
    const { key, uploadId } = this.#upload as S3Upload
    return { type: 's3', bucket: this.#bucket, key, uploadId, parts: this.#parts }
  }

  async discard(): Promise<void> {
    if (this.#upload !== undefined) await this.#objects.abortUpload(this.#upload)
  }

  async #uploadPart(): Promise<void> {
    const bytes = this.#buffered.length === 1 ? (this.#buffered[0] as Buffer) : Buffer.concat(this.#buffered)
    this.#buffered = []
    this.#bufferedBytes = 0
    const url = this.#objects.url(this.#key)
    const upload = (this.#upload ??= await retryIo(this.#clock, `start an upload to ${url}`, () =>
      this.#objects.startUpload(this.#key),
    ))
    this.#parts.push(
      await retryIo(this.#clock, `upload to ${url}`, () =>
        this.#objects.uploadPart(upload, this.#parts.length + 1, bytes),
      ),
    )
  }
}
