import { WeirError } from '#runtime/base/errors'
import type { Bucket, BucketObject, UploadedPart } from '#runtime/storage/bucket'
import type { Caller } from './caller.ts'

/** Uploads that a server loses when it goes away in the middle of completing them. */
const LOST_UPLOAD = 0.05
/** Small, so that some transactions are uploaded in parts. */
const PART_BYTES = 400

interface Upload {
  readonly key: string
  readonly parts: Map<number, Uint8Array>
}

/** The objects of one bucket, shared by all processes. */
export class SimBucketObjects {
  readonly name: string
  readonly objects = new Map<string, Uint8Array>()
  /** Told of every object that is written. */
  onCreated: (key: string) => void = () => undefined
  readonly uploads = new Map<string, Upload>()
  /** Uploads that a crash of the server has taken, and that it says were completed. */
  readonly lost = new Set<string>()
  readonly #copiedFrom = new Map<string, string>()
  #uploads = 0

  constructor(name: string) {
    this.name = name
  }

  put(key: string, bytes: Uint8Array): void {
    this.objects.set(key, bytes)
    this.onCreated(key)
  }

  copy(from: string, to: string): 'copied' | 'missing' {
    const bytes = this.objects.get(from)
    if (bytes === undefined) return 'missing'
    this.objects.set(to, bytes)
    this.#copiedFrom.set(to, from)
    return 'copied'
  }

  /** The object was copied to this key, and what it was copied from is still there. */
  isHalfMoved(key: string): boolean {
    return this.objects.has(this.#copiedFrom.get(key) ?? '')
  }

  start(key: string): string {
    const id = `upload-${++this.#uploads}`
    this.uploads.set(id, { key, parts: new Map() })
    return id
  }

  addPart(uploadId: string, number: number, bytes: Uint8Array): UploadedPart {
    const upload = this.uploads.get(uploadId)
    if (upload === undefined)
      throw new WeirError('STO_MISSING', `Bucket ${this.name} has no upload ${uploadId}.`)
    upload.parts.set(number, bytes)
    return { number, etag: String(bytes.byteLength) }
  }

  /** `isLost`: the server goes away in the middle of it. */
  complete(uploadId: string, numbers: readonly number[], isLost: () => boolean): 'completed' | 'missing' {
    const upload = this.uploads.get(uploadId)
    if (this.lost.has(uploadId)) return 'completed'
    if (upload === undefined) return 'missing'
    this.uploads.delete(uploadId)
    if (isLost()) {
      this.lost.add(uploadId)
      throw new WeirError('STO_UNAVAILABLE', `Cannot complete ${upload.key}: the server went away.`)
    }
    const parts = numbers.map((number) => upload.parts.get(number) ?? new Uint8Array(0))
    this.put(upload.key, Buffer.concat(parts))
    return 'completed'
  }
}

/** A bucket as one thread of a simulated process reaches it. */
export function simBucket(bucket: SimBucketObjects, caller: Caller): Bucket {
  const { objects, uploads, name } = bucket
  const { world, random } = caller
  const call = <T>(effect: () => T): Promise<T> => caller.call('bucket', effect)
  const url = (key: string): string => `s3://${name}/${key}`
  const isLost = (): boolean => {
    const drawn = world.faulty && random.chance(LOST_UPLOAD)
    if (drawn) world.coverage.reach('upload lost')
    return drawn
  }
  const describe = (key: string, bytes: Uint8Array): BucketObject => ({
    key,
    sizeBytes: bytes.byteLength,
    etag: undefined,
  })
  return {
    partBytes: PART_BYTES,
    url,
    list: (prefix) =>
      call(() =>
        [...objects]
          .filter(([key]) => key.startsWith(prefix))
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([key, bytes]) => describe(key, bytes)),
      ),
    head: (key) =>
      call(() => {
        const bytes = objects.get(key)
        return bytes === undefined ? undefined : describe(key, bytes)
      }),
    getRange: (key, start, end) =>
      call(() => {
        const bytes = objects.get(key)
        if (bytes === undefined) throw new WeirError('STO_MISSING', `${url(key)} does not exist.`)
        return bytes.slice(start, end)
      }),
    put: (key, bytes) => {
      const copy = Uint8Array.from(bytes)
      return call(() => bucket.put(key, copy))
    },
    copy: ({ key }, to) => call(() => bucket.copy(key, to)),
    remove: (key) => call(() => void objects.delete(key)),
    startUpload: (key) => call(() => ({ key, uploadId: bucket.start(key) })),
    uploadPart: ({ uploadId }, number, bytes) => {
      const copy = Uint8Array.from(bytes)
      return call(() => bucket.addPart(uploadId, number, copy))
    },
    completeUpload: ({ uploadId }, parts) => {
      const numbers = parts.map((part) => part.number)
      return call(() => bucket.complete(uploadId, numbers, isLost))
    },
    abortUpload: ({ uploadId }) => call(() => void uploads.delete(uploadId)),
    listUploads: (prefix) =>
      call(() =>
        [...uploads].flatMap(([uploadId, { key }]) => (key.startsWith(prefix) ? [{ key, uploadId }] : [])),
      ),
  }
}
