import { WeirError } from '#runtime/base/errors'
import type { SinkContext } from '#runtime/connectors/sink'
import { S3Objects } from '#runtime/storage/s3-objects'
import { requireS3 } from './file-tree.ts'
import { commitLocal } from './local-commit.ts'
import type { FileCommittable } from './output.ts'

/**
 * Makes finished files visible, wherever they are: also where an earlier version of the job wrote
 * to another place than this one.
 */
export class FileCommitter {
  readonly #context: Pick<SinkContext, 'clock' | 's3'>
  readonly #buckets = new Map<string, S3Objects>()

  constructor(context: Pick<SinkContext, 'clock' | 's3'>) {
    this.#context = context
  }

  /** Repeatable. @throws {WeirError} CKP_COMMIT_LOST, STO_UNAVAILABLE */
  async commit(committable: FileCommittable): Promise<void> {
    if (committable.type === 'local') return commitLocal(committable.temporary, committable.final)
    const { bucket, key, parts } = committable
    const objects = this.#objects(bucket)
    await objects.completeUpload(committable, parts)
    // Names are unique, so a key that is taken was taken by this very upload. The object itself is
    // looked for whatever the answer was: a server that died while it completed an upload may call
    // it completed when asked again, without there being an object.
    if (await objects.exists(key)) return
    throw new WeirError(
      'CKP_COMMIT_LOST',
      `A completed checkpoint holds output that is gone: the upload to ${objects.url(key)} cannot be completed, and there is no such object. ` +
        'Was it removed by a lifecycle rule for incomplete uploads, or did the server lose it in a crash? Restore from an older savepoint.',
    )
  }

  close(): void {
    for (const objects of this.#buckets.values()) objects.close()
  }

  #objects(bucket: string): S3Objects {
    const known = this.#buckets.get(bucket)
    if (known !== undefined) return known
    const { clock, s3 } = this.#context
    const objects = new S3Objects(bucket, requireS3(`s3://${bucket}`, s3), clock)
    this.#buckets.set(bucket, objects)
    return objects
  }
}
