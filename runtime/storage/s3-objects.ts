import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandInput,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
  UploadPartCopyCommand,
} from './s3-library.ts'
import type { Clock } from '#runtime/base/clock'
import { WeirError } from '#runtime/base/errors'
import type { S3Access } from '#runtime/contract/process-config'
import type { Bucket, BucketObject, BucketUpload, UploadedPart } from './bucket.ts'
import { createS3Client } from './s3-client.ts'
import { Deadline } from './s3-deadline.ts'
import { classifyS3Error, nextPage, s3Failure } from './s3-errors.ts'

const MIB = 1024 * 1024
const GIB = 1024 * MIB

/** Time without an answer after which a request is given up, and more by what it moves. */
const REQUEST_LIMIT_MS = 30_000
const SLOWEST_UPLOAD_BYTES_PER_MS = 256
const SLOWEST_COPY_BYTES_PER_MS = 16 * 1024

export interface S3ObjectsOptions {
  /** Objects larger than this are copied in parts of this size. Default 5 GiB, the limit of S3. */
  readonly copyPartBytes?: number
}

/** The objects of an S3 bucket. */
export class S3Objects implements Bucket {
  /** S3 asks for at least 5 MiB. */
  readonly partBytes = 8 * MIB
  readonly #bucket: string
  readonly #clock: Clock
  readonly #client: S3Client
  readonly #copyPartBytes: number

  constructor(bucket: string, access: S3Access, clock: Clock, options: S3ObjectsOptions = {}) {
    this.#bucket = bucket
    this.#clock = clock
    this.#client = createS3Client(access, { maxAttempts: 1 })
    this.#copyPartBytes = options.copyPartBytes ?? 5 * GIB
  }

  url(key: string): string {
    return `s3://${this.#bucket}/${key}`
  }

  async list(prefix: string): Promise<BucketObject[]> {
    const objects: BucketObject[] = []
    let token: string | undefined
    do {
      const input = {
        Bucket: this.#bucket,
        Prefix: prefix,
        ...(token === undefined ? {} : { ContinuationToken: token }),
      }
      const page = await this.#call('list', prefix, (abortSignal) =>
        this.#client.send(new ListObjectsV2Command(input), { abortSignal }),
      )
      for (const { Key, Size, ETag } of page.Contents ?? [])
        if (Key !== undefined && !Key.endsWith('/'))
          objects.push({ key: Key, sizeBytes: Size ?? 0, etag: ETag })
      token = nextPage(page.IsTruncated, page.NextContinuationToken, this.url(prefix))
    } while (token !== undefined)
    return objects
  }

  async head(key: string): Promise<BucketObject | undefined> {
    try {
      const { ContentLength, ETag } = await this.#call('look for', key, (abortSignal) =>
        this.#client.send(new HeadObjectCommand({ Bucket: this.#bucket, Key: key }), { abortSignal }),
      )
      return { key, sizeBytes: ContentLength ?? 0, etag: ETag }
    } catch (error) {
      // An answer to HEAD has no body that could name the error.
      if (statusOf(error) === 404) return undefined
      throw error
    }
  }

  getRange(key: string, start: number, end: number, etag: string | undefined): Promise<Uint8Array> {
    const input = {
      Bucket: this.#bucket,
      Key: key,
      Range: `bytes=${start}-${end - 1}`,
      ...(etag === undefined ? {} : { IfMatch: etag }),
    }
    return this.#call('read', key, async (abortSignal) => {
      try {
        const { Body } = await this.#client.send(new GetObjectCommand(input), { abortSignal })
        const bytes = await Body?.transformToByteArray()
        return this.#whole(bytes ?? new Uint8Array(0), { key, start, end })
      } catch (error) {
        if (s3Failure(error).status !== 412) throw error
        throw new WeirError(
          'STO_MISSING',
          `${this.url(key)} was replaced while it was being read (its ETag is no longer ${etag}).`,
          { cause: error },
        )
      }
    })
  }

  #whole(
    bytes: Uint8Array,
    { key, start, end }: { readonly key: string; readonly start: number; readonly end: number },
  ): Uint8Array {
    if (bytes.byteLength === end - start) return bytes
    throw new WeirError(
      'STO_UNAVAILABLE',
      `Cannot read ${this.url(key)}: the server answered ${bytes.byteLength} bytes for the ` +
        `${end - start} bytes [${start}, ${end}). The object must not change while it is read.`,
    )
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    const input = { Bucket: this.#bucket, Key: key, Body: bytes }
    await this.#call(
      'write',
      key,
      (s) => this.#client.send(new PutObjectCommand(input), { abortSignal: s }),
      {
        extraMs: bytes.byteLength / SLOWEST_UPLOAD_BYTES_PER_MS,
      },
    )
  }

  async copy(from: Pick<BucketObject, 'key' | 'sizeBytes'>, to: string): Promise<'copied' | 'missing'> {
    try {
      if (from.sizeBytes > this.#copyPartBytes) await this.#copyInParts(from, to)
      else await this.#copyAtOnce(from, to)
      return 'copied'
    } catch (error) {
      if (error instanceof WeirError && error.code === 'STO_MISSING') return 'missing'
      throw error
    }
  }

  async remove(key: string): Promise<void> {
    try {
      await this.#call('remove', key, (abortSignal) =>
        this.#client.send(new DeleteObjectCommand({ Bucket: this.#bucket, Key: key }), { abortSignal }),
      )
    } catch (error) {
      if (!(error instanceof WeirError && error.code === 'STO_MISSING')) throw error
    }
  }

  async startUpload(key: string): Promise<BucketUpload> {
    const { UploadId } = await this.#call('start an upload to', key, (abortSignal) =>
      this.#client.send(new CreateMultipartUploadCommand({ Bucket: this.#bucket, Key: key }), {
        abortSignal,
      }),
    )
    return { key, uploadId: this.#required(UploadId, 'an upload id', key) }
  }

  async uploadPart(upload: BucketUpload, number: number, bytes: Uint8Array): Promise<UploadedPart> {
    const input = { ...this.#target(upload), PartNumber: number, Body: bytes }
    const { ETag } = await this.#call(
      'upload to',
      upload.key,
      (abortSignal) => this.#client.send(new UploadPartCommand(input), { abortSignal }),
      { extraMs: bytes.byteLength / SLOWEST_UPLOAD_BYTES_PER_MS },
    )
    return { number, etag: this.#required(ETag, 'the ETag of a part', upload.key) }
  }

  async completeUpload(
    upload: BucketUpload,
    parts: readonly UploadedPart[],
  ): Promise<'completed' | 'missing'> {
    const Parts = parts.map(({ number, etag }) => ({ PartNumber: number, ETag: etag }))
    const input = { ...this.#target(upload), MultipartUpload: { Parts } }
    try {
      await this.#call('complete', upload.key, (abortSignal) =>
        this.#client.send(new CompleteMultipartUploadCommand(input), { abortSignal }),
      )
      return 'completed'
    } catch (error) {
      if (isUnknownUpload(error)) return 'missing'
      throw error
    }
  }

  async abortUpload(upload: BucketUpload): Promise<void> {
    try {
      await this.#call('abort an upload to', upload.key, (abortSignal) =>
        this.#client.send(new AbortMultipartUploadCommand(this.#target(upload)), { abortSignal }),
      )
    } catch (error) {
      if (!isUnknownUpload(error)) throw error
    }
  }

  async listUploads(prefix: string): Promise<BucketUpload[]> {
    const uploads: BucketUpload[] = []
    let marker: Pick<ListMultipartUploadsCommandInput, 'KeyMarker' | 'UploadIdMarker'> | undefined = {}
    while (marker !== undefined) {
      const input: ListMultipartUploadsCommandInput = { Bucket: this.#bucket, Prefix: prefix, ...marker }
      const page = await this.#call('list uploads to', prefix, (abortSignal) =>
        this.#client.send(new ListMultipartUploadsCommand(input), { abortSignal }),
      )
      for (const { Key, UploadId } of page.Uploads ?? [])
        if (Key?.startsWith(prefix) === true && UploadId !== undefined)
          uploads.push({ key: Key, uploadId: UploadId })
      const { IsTruncated, NextKeyMarker, NextUploadIdMarker } = page
      const KeyMarker = nextPage(IsTruncated, NextKeyMarker, this.url(prefix))
      marker =
        KeyMarker === undefined
          ? undefined
          : {
              KeyMarker,
              ...(NextUploadIdMarker === undefined ? {} : { UploadIdMarker: NextUploadIdMarker }),
            }
    }
    return uploads
  }

  close(): void {
    this.#client.destroy()
  }

  async #copyAtOnce({ key, sizeBytes }: Pick<BucketObject, 'key' | 'sizeBytes'>, to: string): Promise<void> {
    const input = { Bucket: this.#bucket, Key: to, CopySource: this.#source(key) }
    await this.#call(
      `copy ${this.url(key)} to`,
      to,
      (abortSignal) => this.#client.send(new CopyObjectCommand(input), { abortSignal }),
      { missing: key, extraMs: sizeBytes / SLOWEST_COPY_BYTES_PER_MS },
    )
  }

  /**
   * Its upload is completed once, whatever the answer: a copy that is repeated begins a new one.
   */
  async #copyInParts(from: Pick<BucketObject, 'key' | 'sizeBytes'>, to: string): Promise<void> {
    const upload = await this.startUpload(to)
    try {
      const parts: UploadedPart[] = []
      for (let start = 0; start < from.sizeBytes; start += this.#copyPartBytes) {
        const end = Math.min(start + this.#copyPartBytes, from.sizeBytes)
        parts.push(await this.#copyPart(upload, parts.length + 1, { key: from.key, start, end }))
      }
      if ((await this.completeUpload(upload, parts)) === 'completed') return
    } catch (error) {
      await this.abortUpload(upload).catch(() => undefined)
      throw error
    }
    throw new WeirError(
      'STO_UNAVAILABLE',
      `Cannot copy ${this.url(from.key)} to ${this.url(to)}: the server forgot the upload.`,
    )
  }

  async #copyPart(
    upload: BucketUpload,
    number: number,
    { key, start, end }: { readonly key: string; readonly start: number; readonly end: number },
  ): Promise<UploadedPart> {
    const input = {
      ...this.#target(upload),
      PartNumber: number,
      CopySource: this.#source(key),
      CopySourceRange: `bytes=${start}-${end - 1}`,
    }
    const { CopyPartResult } = await this.#call(
      `copy ${this.url(key)} to`,
      upload.key,
      (abortSignal) => this.#client.send(new UploadPartCopyCommand(input), { abortSignal }),
      { missing: key, extraMs: (end - start) / SLOWEST_COPY_BYTES_PER_MS },
    )
    return { number, etag: this.#required(CopyPartResult?.ETag, 'the ETag of a part', upload.key) }
  }

  /** As the header x-amz-copy-source wants it. */
  #source(key: string): string {
    return `${this.#bucket}/${key.split('/').map(encodeURIComponent).join('/')}`
  }

  #target({ key, uploadId }: BucketUpload) {
    return { Bucket: this.#bucket, Key: key, UploadId: uploadId }
  }

  #required(value: string | undefined, what: string, key: string): string {
    if (value !== undefined) return value
    throw new WeirError('STO_UNSAFE', `The server's answer about ${this.url(key)} lacks ${what}.`)
  }

  /** `missing`: the key that a NoSuchKey is about. */
  async #call<T>(
    what: string,
    key: string,
    send: (signal: AbortSignal) => Promise<T>,
    { extraMs = 0, missing = key }: { readonly extraMs?: number; readonly missing?: string } = {},
  ): Promise<T> {
    const limitMs = Math.round(REQUEST_LIMIT_MS + extraMs)
    using deadline = new Deadline(this.#clock, limitMs)
    try {
      return await send(deadline.signal)
    } catch (error) {
      if (deadline.expired)
        throw new WeirError(
          'STO_UNAVAILABLE',
          `Cannot ${what} ${this.url(key)}: no answer within ${limitMs} ms.`,
          { cause: error },
        )
      const isMissing = s3Failure(error).name === 'NoSuchKey'
      throw classifyS3Error(error, what, this.url(isMissing ? missing : key))
    }
  }
}

function statusOf(error: unknown): unknown {
  return error instanceof WeirError ? error.context['status'] : undefined
}

function isUnknownUpload(error: unknown): boolean {
  return error instanceof WeirError && statusOf(error) === 404 && error.context['name'] !== 'NoSuchBucket'
}
