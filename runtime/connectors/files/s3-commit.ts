/**
 * How an object becomes visible: the server copies it from its staged key to its final one, then
 * the staged one is removed.
 *
 * C1 Nothing but this removes a staged object that a checkpoint holds. So where both are gone, it
 *    was committed, and somebody has taken the output away.
 * C2 A bucket has no rename: when the process dies between the copy and the removal, and somebody
 *    takes the object away before the commit is repeated, it appears a second time, under the same
 *    key.
 * C3 Where the copy was answered and the object is not there, somebody was quick: a server that has
 *    answered has the object (storage/bucket.ts, B1). Copying again would give it to them twice.
 */
import { WeirError } from '#runtime/base/errors'
import type { CommitOutcome } from '#runtime/connectors/sink'
import type { Bucket } from '#runtime/storage/bucket'
import type { S3Committable } from './output.ts'

/** @throws {WeirError} STO_EXISTS, STO_UNAVAILABLE, STO_DENIED */
export async function commitStaged(object: S3Committable, bucket: Bucket): Promise<CommitOutcome> {
  const { staged, final, sizeBytes } = object
  if (!(await isThere(object, bucket))) {
    const copied = await bucket.copy({ key: staged, sizeBytes }, final)
    // Another process may have committed it between the look and the copy.
    const found = await isThere(object, bucket)
    if (copied === 'missing') return found ? 'committed' : 'consumed'
  }
  await bucket.remove(staged)
  return 'committed'
}

async function isThere({ final, sizeBytes }: S3Committable, bucket: Bucket): Promise<boolean> {
  const found = await bucket.head(final)
  if (found === undefined || found.sizeBytes === sizeBytes) return found !== undefined
  throw new WeirError(
    'STO_EXISTS',
    `Cannot commit to ${bucket.url(final)}: there is an object of ${found.sizeBytes} bytes, ` +
      `expected are ${sizeBytes}. Remove or rename it.`,
  )
}
