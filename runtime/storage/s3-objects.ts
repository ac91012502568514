import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandInput,
  ListObjectsV2Command,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import type { Clock } from '#runtime/base/clock'
import { WeirError } from '#runtime/base/errors'
import type { S3Access } from '#runtime/contract/process-config'
import { createS3Client } from './s3-client.ts'
import { Deadline } from './s3-deadline.ts'
import { classifyS3Error, s3Failure } from './s3-errors.ts'

export interface S3Object {
  readonly key: string
  readonly sizeBytes: number
  readonly etag: string | undefined
}

export interface S3Upload {
  readonly key: string
  readonly uploadId: string
}

export interface S3Part {
  readonly number: number
  readonly etag: string
}

/**
 * Time without an answer after which a request is given up; a part of 16 MiB passes in it at 0.5
 * MiB/s.
 */
const REQUEST_LIMIT_MS = 30_000

/**
 * The objects of one bucket as connectors need them: any key, ranges, uploads that become visible
 * by a second call. All calls reject with STO_UNAVAILABLE (may be tried again), STO_DENIED,
 * STO_MISSING; messages name the object.
 */
export class S3Objects {
  readonly #bucket: string
  readonly #clock: Clock
  /** Repeats requests by itself. */
  readonly #client: S3Client
  /** For what must be sent once to be understood. */
  readonly #once: S3Client

  constructor(bucket: string, access: S3Access, clock: Clock) {
    this.#bucket = bucket
    this.#clock = clock
    this.#client = createS3Client(access)
    this.#once = createS3Client(access, { maxAttempts: 1 })
  }

  url(key: string): string {
    return `s3://${this.#bucket}/${key}`
  }

  /**
   * Objects whose key begins with `prefix`, in the order of their keys; directory markers (keys
   * that end in "/") are left out.
   */
  async list(prefix: string): Promise<S3Object[]> {
    const objects: S3Object[] = []
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
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined
    } while (token !== undefined)
    return objects
  }

  /**
   * Bytes [start, end), `end` > `start`. With an etag, only of that version. @throws {WeirError}
   * STO_MISSING also when the object has another etag now
   */
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
        return Body === undefined ? new Uint8Array(0) : await Body.transformToByteArray()
      } catch (error) {
        if (s3Failure(error).status !== 412) throw error
        throw new WeirError(
          'STO_MISSING',
          `${this.url(key)} was replaced while it was being read (its ETag is no longer ${etag}).`,
          {
            cause: error,
          },
        )
      }
    })
  }

  async exists(key: string): Promise<boolean> {
    try {
      await this.#call('look for', key, (abortSignal) =>
        this.#client.send(new HeadObjectCommand({ Bucket: this.#bucket, Key: key }), { abortSignal }),
      )
      return true
    } catch (error) {
      if (error instanceof WeirError && (error.code === 'STO_MISSING' || error.context['status'] === 404))
        return false
      throw error
    }
  }

  async startUpload(key: string): Promise<S3Upload> {
    const { UploadId } = await this.#call('start an upload to', key, (abortSignal) =>
      this.#client.send(new CreateMultipartUploadCommand({ Bucket: this.#bucket, Key: key }), {
        abortSignal,
      }),
    )
    if (UploadId === undefined)
      throw new WeirError(
        'STO_UNSAFE',
        `The server started an upload to ${this.url(key)} without an upload id.`,
      )
    return { key, uploadId: UploadId }
  }

  /** Repeatable: the last one of a number counts. Parts but the last have at least 5 MiB. */
  async uploadPart(upload: S3Upload, number: number, bytes: Uint8Array): Promise<S3Part> {
    const input = { ...this.#target(upload), PartNumber: number, Body: bytes }
    const { ETag } = await this.#call('upload to', upload.key, (abortSignal) =>
      this.#client.send(new UploadPartCommand(input), { abortSignal }),
    )
    if (ETag === undefined)
      throw new WeirError(
        'STO_UNSAFE',
        `The server took part ${number} of ${this.url(upload.key)} without an ETag.`,
      )
    return { number, etag: ETag }
  }

  /**
   * Makes the object visible unless its key is taken. `missing`: the server does not know the
   * upload (any more): it was completed or aborted before. After STO_UNAVAILABLE the outcome is
   * unknown; a repetition tells.
   */
  async completeUpload(
    upload: S3Upload,
    parts: readonly S3Part[],
  ): Promise<'completed' | 'exists' | 'missing'> {
    const Parts = parts.map(({ number, etag }): CompletedPart => ({ PartNumber: number, ETag: etag }))
    const input = { ...this.#target(upload), IfNoneMatch: '*', MultipartUpload: { Parts } }
    try {
      await this.#call('complete', upload.key, (abortSignal) =>
        this.#once.send(new CompleteMultipartUploadCommand(input), { abortSignal }),
      )
      return 'completed'
    } catch (error) {
      const { name, status } =
        error instanceof WeirError ? (error.context as { name?: unknown; status?: unknown }) : {}
      if (status === 412) return 'exists'
      if (name === 'NoSuchUpload' || status === 404) return 'missing'
      throw error
    }
  }

  /** Idempotent. */
  async abortUpload(upload: S3Upload): Promise<void> {
    try {
      await this.#call('abort an upload to', upload.key, (abortSignal) =>
        this.#client.send(new AbortMultipartUploadCommand(this.#target(upload)), { abortSignal }),
      )
    } catch (error) {
      if (
        !(
          error instanceof WeirError &&
          (error.context['name'] === 'NoSuchUpload' || error.context['status'] === 404)
        )
      )
        throw error
    }
  }

  /** Unfinished uploads whose key begins with `prefix`. */
  async listUploads(prefix: string): Promise<S3Upload[]> {
    const uploads: S3Upload[] = []
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
      marker =
        IsTruncated === true && NextKeyMarker !== undefined
          ? {
              KeyMarker: NextKeyMarker,
              ...(NextUploadIdMarker === undefined ? {} : { UploadIdMarker: NextUploadIdMarker }),
            }
          : undefined
    }
    return uploads
  }

  close(): void {
    this.#client.destroy()
    this.#once.destroy()
  }

  #target({ key, uploadId }: S3Upload) {
    return { Bucket: this.#bucket, Key: key, UploadId: uploadId }
  }

  async #call<T>(what: string, key: string, send: (signal: AbortSignal) => Promise<T>): Promise<T> {
    using deadline = new Deadline(this.#clock, REQUEST_LIMIT_MS)
    try {
      return await send(deadline.signal)
    } catch (error) {
      if (deadline.expired)
        throw new WeirError(
          'STO_UNAVAILABLE',
          `Cannot ${what} ${this.url(key)}: no answer within ${REQUEST_LIMIT_MS} ms.`,
          {
            cause: error,
          },
        )
      throw classifyS3Error(error, what, this.url(key))
    }
  }
}
