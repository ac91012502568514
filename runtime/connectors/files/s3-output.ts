import type { Clock } from '#runtime/base/clock'
import { WeirError } from '#runtime/base/errors'
import type { TransactionId } from '#runtime/connectors/sink'
import type { Bucket, BucketUpload, UploadedPart } from '#runtime/storage/bucket'
import type { Output, OutputFile, OutputNames, S3Committable } from './output.ts'
import { retryIo } from './retry-io.ts'

export interface S3Place {
  readonly name: string
  /** '' or ends in "/". */
  readonly prefix: string
  readonly bucket: Bucket
  readonly clock: Clock
  /** Aborted when nobody waits for the output any more. */
  readonly signal: AbortSignal
}

/**
 * Objects below a prefix. What is prepared is a finished object with a staged key,
 * `<prefix>.weir-<id>/<transaction>.jsonl`, hidden from readers by its segment with a dot; a commit
 * copies it (s3-commit.ts). Nothing rests on an upload that is still open: a server may lose one.
 */
export class S3Output implements Output {
  readonly #place: S3Place
  readonly #names: OutputNames
  readonly #stagedPrefix: string

  constructor(place: S3Place, names: OutputNames) {
    this.#place = place
    this.#names = names
    this.#stagedPrefix = `${place.prefix}.weir-${names.id}/`
  }

  begin(transaction: TransactionId): OutputFile {
    return new S3OutputFile(
      this.#place,
      `${this.#stagedPrefix}${this.#names.stem(transaction)}.jsonl`,
      this.#place.prefix + this.#names.final(transaction),
    )
  }

  /** Uploads to final keys are those of copies in parts. */
  async recover(isDangling: (transaction: TransactionId) => boolean): Promise<void> {
    const { bucket, prefix } = this.#place
    const isOfDangling = (key: string): boolean => {
      const transaction = key.startsWith(this.#stagedPrefix)
        ? this.#names.parseStem(key.slice(this.#stagedPrefix.length).replace(/\.jsonl$/, ''))
        : this.#names.parseFinal(key.slice(prefix.length))
      return transaction !== undefined && isDangling(transaction)
    }
    for (const { key } of await bucket.list(this.#stagedPrefix))
      if (isOfDangling(key)) await bucket.remove(key)
    for (const start of [this.#stagedPrefix, `${prefix}part-`])
      for (const upload of await bucket.listUploads(start))
        if (isOfDangling(upload.key)) await bucket.abortUpload(upload)
  }
}

/** One request while it is small; an upload of parts above that. */
class S3OutputFile implements OutputFile {
  readonly #place: S3Place
  readonly #staged: string
  readonly #final: string
  readonly #parts: UploadedPart[] = []
  #upload: BucketUpload | undefined
  #buffered: Buffer[] = []
  #bufferedBytes = 0
  #sizeBytes = 0

  constructor(place: S3Place, staged: string, final: string) {
    this.#place = place
    this.#staged = staged
    this.#final = final
  }

  async append(bytes: Buffer): Promise<void> {
    this.#buffered.push(bytes)
    this.#bufferedBytes += bytes.length
    this.#sizeBytes += bytes.length
    if (this.#bufferedBytes >= this.#place.bucket.partBytes) await this.#uploadPart()
  }

  async finish(): Promise<S3Committable> {
    const { name, bucket } = this.#place
    const [staged, sizeBytes] = [this.#staged, this.#sizeBytes]
    if (this.#upload === undefined) {
      const bytes = this.#takeBuffered()
      await this.#retry('write', () => bucket.put(staged, bytes))
    } else {
      if (this.#bufferedBytes > 0) await this.#uploadPart()
      await this.#complete(this.#upload)
    }
    return { type: 's3', bucket: name, staged, final: this.#final, sizeBytes }
  }

  async discard(): Promise<void> {
    if (this.#upload !== undefined) await this.#place.bucket.abortUpload(this.#upload)
  }

  async #uploadPart(): Promise<void> {
    const { bucket } = this.#place
    const bytes = this.#takeBuffered()
    const upload = (this.#upload ??= await this.#retry('start an upload to', () =>
      bucket.startUpload(this.#staged),
    ))
    const number = this.#parts.length + 1
    this.#parts.push(await this.#retry('upload to', () => bucket.uploadPart(upload, number, bytes)))
  }

  /**
   * Whatever is answered, and however often it had to be asked: the object says whether it worked.
   */
  async #complete(upload: BucketUpload): Promise<void> {
    const { bucket } = this.#place
    await this.#retry('complete', () => bucket.completeUpload(upload, this.#parts))
    const found = await this.#retry('look for', () => bucket.head(this.#staged))
    if (found?.sizeBytes === this.#sizeBytes) return
    throw new WeirError(
      'STO_UNAVAILABLE',
      `The server lost an upload of ${this.#sizeBytes} bytes to ${bucket.url(this.#staged)} ` +
        `when it was completed (found: ${found === undefined ? 'nothing' : `${found.sizeBytes} bytes`}). ` +
        'Nothing is lost: the checkpoint that it was for does not complete.',
    )
  }

  #takeBuffered(): Buffer {
    const [first, ...rest] = this.#buffered
    const bytes = first !== undefined && rest.length === 0 ? first : Buffer.concat(this.#buffered)
    this.#buffered = []
    this.#bufferedBytes = 0
    return bytes
  }

  #retry<T>(what: string, work: () => Promise<T>): Promise<T> {
    const { clock, signal, bucket } = this.#place
    return retryIo({ clock, signal, what: `${what} ${bucket.url(this.#staged)}` }, work)
  }
}
