import type { Clock } from '#runtime/base/clock'
import { WeirError } from '#runtime/base/errors'
import type { S3Access } from '#runtime/contract/process-config'
import type { Bucket } from './bucket.ts'
import { nodeDisk, type Disk } from './disk.ts'
import { S3Objects } from './s3-objects.ts'

/**
 * What the connectors of a job may reach outside of it. They never see how, nor with which keys.
 */
export interface ConnectorAccess {
  readonly disk: Disk
  /** @throws {WeirError} CFG_INVALID when the job has no S3 settings. */
  bucket(name: string): Bucket
}

/** The machine's disk, and buckets by the job's S3 settings; one client per bucket. */
export class SystemAccess implements ConnectorAccess, Disposable {
  readonly disk = nodeDisk
  readonly #s3: S3Access | undefined
  readonly #clock: Clock
  readonly #buckets = new Map<string, S3Objects>()

  constructor(s3: S3Access | undefined, clock: Clock) {
    this.#s3 = s3
    this.#clock = clock
  }

  bucket(name: string): Bucket {
    const known = this.#buckets.get(name)
    if (known !== undefined) return known
    if (this.#s3 === undefined)
      throw new WeirError(
        'CFG_INVALID',
        `Cannot use s3://${name}: the job has no S3 settings. ` +
          'Give it S3 storage, or the block s3 with region, endpoint and credentials.',
      )
    const bucket = new S3Objects(name, this.#s3, this.#clock)
    this.#buckets.set(name, bucket)
    return bucket
  }

  close(): void {
    for (const bucket of this.#buckets.values()) bucket.close()
    this.#buckets.clear()
  }

  [Symbol.dispose](): void {
    this.close()
  }
}
