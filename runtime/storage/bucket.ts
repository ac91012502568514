/**
 * The objects of one bucket as connectors need them. Whoever calls decides what to repeat: every
 * request is sent once. All calls reject with STO_UNAVAILABLE (the request may have done its work
 * all the same) or STO_DENIED (also: there is no such bucket), and with what is named at them;
 * messages name the object.
 *
 * What holds for every Bucket:
 * B1 An object appears, is replaced and goes as a whole. Who asks after an answer sees what was
 *    answered.
 * B2 An unfinished upload is invisible. Servers may lose one in a crash, and may answer a repeated
 *    completion of it as if there were an object: only `head` says whether there is.
 */
export interface Bucket {
  /** All parts of an upload but the last have at least this size. */
  readonly partBytes: number
  /** `s3://bucket/key`, for people. */
  url(key: string): string
  /**
   * Objects whose key begins with `prefix`, in the order of their keys; directory markers (keys
   * that end in "/") are left out.
   */
  list(prefix: string): Promise<BucketObject[]>
  /** Undefined: there is no such object. */
  head(key: string): Promise<BucketObject | undefined>
  /**
   * Bytes [start, end), `end` > `start`, all of them. With an etag, only of that version.
   * @throws {WeirError} STO_MISSING also when the object has another etag now, STO_UNAVAILABLE when
   *   it ends before `end`
   */
  getRange(key: string, start: number, end: number, etag: string | undefined): Promise<Uint8Array>
  /** Creates or replaces. */
  put(key: string, bytes: Uint8Array): Promise<void>
  /** The server copies; creates or replaces `to`. `missing`: there is no `from`. */
  copy(from: Pick<BucketObject, 'key' | 'sizeBytes'>, to: string): Promise<'copied' | 'missing'>
  /** Idempotent. */
  remove(key: string): Promise<void>
  startUpload(key: string): Promise<BucketUpload>
  /** Repeatable: the last one of a number counts. */
  uploadPart(upload: BucketUpload, number: number, bytes: Uint8Array): Promise<UploadedPart>
  /**
   * Makes the object, or replaces it. `missing`: the server does not know the upload (any more); it
   * was completed, aborted or lost.
   */
  completeUpload(upload: BucketUpload, parts: readonly UploadedPart[]): Promise<'completed' | 'missing'>
  /** Idempotent. */
  abortUpload(upload: BucketUpload): Promise<void>
  /** Unfinished uploads whose key begins with `prefix`. */
  listUploads(prefix: string): Promise<BucketUpload[]>
}

export interface BucketObject {
  readonly key: string
  readonly sizeBytes: number
  readonly etag: string | undefined
}

export interface BucketUpload {
  readonly key: string
  readonly uploadId: string
}

export interface UploadedPart {
  /** From 1. */
  readonly number: number
  readonly etag: string
}
