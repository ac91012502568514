import {
  DeleteObjectsCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandInput,
  type _Object as ListedObject,
  PutObjectCommand,
  type S3Client,
} from './s3-library.ts'
import { type Clock, systemClock } from '#runtime/base/clock'
import { WeirError } from '#runtime/base/errors'
import type { S3Access } from '#runtime/contract/process-config'
import type { CallOptions, CheckpointStore, ListOptions, StoredObject } from './checkpoint-store.ts'
import { assertKey, assertPrefix, joinKey, keyUrl } from './paths.ts'
import { createS3Client } from './s3-client.ts'
import { Deadline } from './s3-deadline.ts'
import { classifyS3Error, nextPage, s3Failure } from './s3-errors.ts'
import { createMultipart, MULTIPART_ABOVE_BYTES } from './s3-multipart.ts'

export interface S3StoreOptions {
  readonly bucket: string
  /** Key prefix of everything in this store; may be empty. */
  readonly root: string
  readonly access: S3Access
  readonly clock?: Clock
  /**
   * Time without progress after which a request is given up. Uploads get more by their size.
   * Default 15 s.
   */
  readonly requestTimeoutMs?: number
}

/** As of `CheckpointStore.getRange`. */
interface Range {
  readonly start: number
  readonly end: number
}

const DELETE_BATCH = 1000
const SLOWEST_UPLOAD_BYTES_PER_MS = 256

/**
 * Objects in an S3 bucket. create = PUT with `If-None-Match: *` (412: exists; 409
 * ConditionalRequestConflict: transient), or above 16 MiB a multipart upload whose completion is
 * conditional. Creates are sent once, never retried here: a retry of an unknown outcome would take
 * one's own object for somebody else's.
 */
export class S3Store implements CheckpointStore {
  readonly url: string
  readonly #bucket: string
  readonly #root: string
  readonly #clock: Clock
  readonly #timeoutMs: number
  /** For requests that may be repeated. */
  readonly #client: S3Client
  /** For creates: one try. */
  readonly #once: S3Client
  constructor(options: S3StoreOptions) {
    this.#bucket = options.bucket
    this.#root = options.root.replace(/^\/+|\/+$/g, '')
    this.url = `s3://${options.bucket}${this.#root === '' ? '' : `/${this.#root}`}`
    this.#clock = options.clock ?? systemClock
    this.#timeoutMs = options.requestTimeoutMs ?? 15_000
    this.#client = createS3Client(options.access)
    this.#once = createS3Client(options.access, { maxAttempts: 1 })
  }

  async create(key: string, bytes: Uint8Array, options: CallOptions = {}): Promise<'created' | 'exists'> {
    assertKey(key)
    const target = { Bucket: this.#bucket, Key: joinKey(this.#root, key) }
    try {
      if (bytes.byteLength > MULTIPART_ABOVE_BYTES)
        await createMultipart({
          client: this.#client,
          once: this.#once,
          target,
          bytes,
          run: (size, send) => this.#call(size, options, send),
          cleanUp: (send) => this.#call(0, {}, send),
        })
      else
        await this.#call(bytes.byteLength, options, (abortSignal) =>
          this.#once.send(new PutObjectCommand({ ...target, Body: bytes, IfNoneMatch: '*' }), {
            abortSignal,
          }),
        )
      return 'created'
    } catch (error) {
      options.signal?.throwIfAborted()
      if (s3Failure(error).status === 412) return 'exists'
      throw this.#classify(error, 'create', key)
    }
  }

  get(key: string, options: CallOptions = {}): Promise<Uint8Array> {
    return this.#read(key, undefined, options)
  }

  async getRange(key: string, start: number, end: number, options: CallOptions = {}): Promise<Uint8Array> {
    if (start >= 0 && end <= start) return new Uint8Array(0)
    try {
      return await this.#read(key, { start, end }, options)
    } catch (error) {
      if (error instanceof WeirError && error.context['status'] === 416) return new Uint8Array(0)
      throw error
    }
  }

  async list(prefix: string, options: ListOptions = {}): Promise<StoredObject[]> {
    assertPrefix(prefix)
    const { startAfter, limit = Infinity } = options
    const objects: StoredObject[] = []
    let place: Pick<ListObjectsV2CommandInput, 'StartAfter' | 'ContinuationToken'> =
      startAfter === undefined ? {} : { StartAfter: joinKey(this.#root, startAfter) }
    while (objects.length < limit) {
      const request = new ListObjectsV2Command({
        Bucket: this.#bucket,
        Prefix: this.#root === '' ? prefix : `${this.#root}/${prefix}`,
        MaxKeys: Math.min(1000, limit - objects.length),
        ...place,
      })
      const page = await this.#repeatable('list', prefix, options, (abortSignal) =>
        this.#client.send(request, { abortSignal }),
      )
      objects.push(...(page.Contents ?? []).flatMap((object) => this.#stored(object)))
      if (objects.length >= limit) break
      const next = nextPage(page.IsTruncated, page.NextContinuationToken, keyUrl(this.url, prefix))
      if (next === undefined) break
      place = { ContinuationToken: next }
    }
    return objects
  }

  /** Directory markers (keys that end in "/") are not objects of Weir's. */
  #stored({ Key, Size = 0, LastModified }: ListedObject): StoredObject[] {
    if (Key === undefined || Key.endsWith('/')) return []
    const strip = this.#root === '' ? 0 : this.#root.length + 1
    return [{ key: Key.slice(strip), sizeBytes: Size, modifiedAt: LastModified?.getTime() ?? 0 }]
  }

  async delete(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    for (const key of keys) assertKey(key)
    for (let at = 0; at < keys.length; at += DELETE_BATCH) {
      const batch = keys.slice(at, at + DELETE_BATCH)
      const Objects = batch.map((key) => ({ Key: joinKey(this.#root, key) }))
      const result = await this.#repeatable('delete', batch[0] ?? '', options, (abortSignal) =>
        this.#client.send(
          new DeleteObjectsCommand({ Bucket: this.#bucket, Delete: { Objects, Quiet: true } }),
          { abortSignal },
        ),
      )
      const failed = (result.Errors ?? []).find((e) => e.Code !== 'NoSuchKey')
      if (failed !== undefined)
        throw classifyS3Error(
          Object.assign(new Error(failed.Message ?? 'refused'), { Code: failed.Code }),
          'delete',
          `s3://${this.#bucket}/${failed.Key}`,
        )
    }
  }

  close(): Promise<void> {
    this.#client.destroy()
    this.#once.destroy()
    return Promise.resolve()
  }

  #read(key: string, range: Range | undefined, options: CallOptions): Promise<Uint8Array> {
    assertKey(key)
    const command = new GetObjectCommand({
      Bucket: this.#bucket,
      Key: joinKey(this.#root, key),
      ...(range === undefined ? {} : { Range: rangeHeader(range) }),
    })
    return this.#repeatable('read', key, options, async (abortSignal, progressed) => {
      const response = await this.#client.send(command, { abortSignal })
      const chunks: Uint8Array[] = []
      for await (const chunk of response.Body as AsyncIterable<Uint8Array>) {
        progressed()
        chunks.push(chunk)
      }
      const bytes = Buffer.concat(chunks)
      if (response.ContentLength !== undefined && response.ContentLength !== bytes.byteLength)
        throw new WeirError(
          'STO_UNAVAILABLE',
          `Reading ${keyUrl(this.url, key)} ended after ${bytes.byteLength} ` +
            `of ${response.ContentLength} bytes.`,
        )
      if (range !== undefined && !answersRange(range, response.ContentRange, bytes.byteLength))
        throw new WeirError(
          'STO_UNAVAILABLE',
          `Cannot read ${keyUrl(this.url, key)}: asked for ${rangeHeader(range)}, the server answered ` +
            `${bytes.byteLength} bytes of range ${response.ContentRange ?? '(none)'}.`,
        )
      return bytes
    })
  }

  async #repeatable<T>(
    what: string,
    key: string,
    options: CallOptions,
    send: (signal: AbortSignal, progressed: () => void) => Promise<T>,
  ): Promise<T> {
    try {
      return await this.#call(0, options, send)
    } catch (error) {
      options.signal?.throwIfAborted()
      throw this.#classify(error, what, key)
    }
  }

  async #call<T>(
    sizeBytes: number,
    options: CallOptions,
    send: (signal: AbortSignal, progressed: () => void) => Promise<T>,
  ): Promise<T> {
    options.signal?.throwIfAborted()
    using deadline = new Deadline(
      this.#clock,
      this.#timeoutMs + sizeBytes / SLOWEST_UPLOAD_BYTES_PER_MS,
      options.signal,
    )
    try {
      return await send(deadline.signal, () => deadline.extend())
    } catch (error) {
      if (deadline.expired)
        throw new WeirError(
          'STO_UNAVAILABLE',
          `No answer from ${this.url} within ${Math.round(deadline.limitMs)} ms.`,
          { cause: error },
        )
      throw error
    }
  }

  #classify(error: unknown, what: string, key: string): WeirError {
    return classifyS3Error(error, what, keyUrl(this.url, key))
  }
}

const rangeHeader = ({ start, end }: Range): string =>
  start < 0 ? `bytes=${start}` : `bytes=${start}-${end - 1}`

/**
 * Whether an answer has exactly what was asked for, as far as the object goes.
 * @param contentRange `bytes <first>-<last>/<size>` (RFC 9110, 14.4)
 */
function answersRange({ start, end }: Range, contentRange: string | undefined, sizeBytes: number): boolean {
  const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(contentRange ?? '')
  // Of an empty object there is no range.
  if (match === null) return contentRange === undefined && sizeBytes === 0
  const [first, last, size] = match.slice(1).map(Number) as [number, number, number]
  const from = start < 0 ? Math.max(0, size + start) : start
  const to = start < 0 ? size : Math.min(end, size)
  return first === from && last === to - 1 && sizeBytes === to - from
}
