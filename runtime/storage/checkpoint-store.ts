/**
 * The checkpoint store: immutable objects by key. Everything that Weir must not lose lives behind
 * this port; safety rests on its guarantees, which `test/integration/store-conformance.test.ts`
 * proves against every implementation on its real server.
 *
 * G1 `create` is linearizable: of any number of concurrent creates of one key exactly one resolves
 *    `created`, all others `exists`.
 * G2 An object is visible whole or not at all, to `get` and `list`, as soon as `create` has
 *    resolved `created` (strong read-after-write).
 * G3 Objects never change. There is no overwrite.
 * G4 A rejected `create` with code STO_UNAVAILABLE has an unknown outcome: the object may exist now
 *    or appear later until the request's deadline.
 * G5 What an answer says is durable: an object of which `create` has said `created` or `exists`,
 *    and one that is read after a create of unknown outcome.
 *
 * Keys: `/`-separated segments of [A-Za-z0-9._=-]; no key is another key's directory (file-backed
 * S3 servers refuse that). All calls have a deadline of their own and reject with STO_UNAVAILABLE
 * (transient, retryable by the caller), STO_DENIED or STO_MISSING.
 */
export interface CheckpointStore {
  /** For people and errors: `s3://bucket/prefix` or `file:///path`. */
  readonly url: string
  /** Creates the object if the key is free. The callee does not keep `bytes` after resolving. */
  create(key: string, bytes: Uint8Array, options?: CallOptions): Promise<'created' | 'exists'>
  /** The whole object. @throws {WeirError} STO_MISSING */
  get(key: string, options?: CallOptions): Promise<Uint8Array>
  /**
   * Bytes [start, end) of the object; `start` < 0 counts from the end, then `end` is ignored.
   * @throws {WeirError} STO_MISSING
   */
  getRange(key: string, start: number, end: number, options?: CallOptions): Promise<Uint8Array>
  /**
   * Keys with this prefix in lexicographic order, after `startAfter` (exclusive), at most `limit`
   * (default: all).
   */
  list(prefix: string, options?: ListOptions): Promise<StoredObject[]>
  /** Idempotent: deleting what is not there succeeds. */
  delete(keys: readonly string[], options?: CallOptions): Promise<void>
  close(): Promise<void>
}

export interface CallOptions {
  readonly signal?: AbortSignal
}

export interface ListOptions extends CallOptions {
  readonly startAfter?: string
  readonly limit?: number
}

export interface StoredObject {
  readonly key: string
  readonly sizeBytes: number
  /** Milliseconds since the epoch by the store's clock. */
  readonly modifiedAt: number
}
