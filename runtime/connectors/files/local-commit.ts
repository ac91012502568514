/**
 * How a local file becomes visible: one rename from its hidden name to its final one, in the same
 * directory.
 *
 * C1 A rename is atomic and leaves one name, so a file that somebody took away after its commit
 *    cannot come back when the commit is repeated: nothing is left to rename.
 * C2 A rename would replace a file of the final name. No file of Weir has it but this one: the name
 *    holds job, sink, subtask, attempt and barrier, and such a set is used once. A file of somebody
 *    else that is there before the commit is found and refused; only one that is made under exactly
 *    this name in the moment between the look and the rename would be replaced.
 * C3 Where neither name exists, the file was committed and taken away: nothing else removes a
 *    prepared file. But that follows only if this is the directory that it was prepared in, and not
 *    one of the same path on another machine, or one that was removed and made again. So the
 *    directory carries a marker, an own one wherever it was made, which the committable names.
 */
import { dirname } from 'node:path'
import { WeirError } from '#runtime/base/errors'
import type { CommitOutcome } from '#runtime/connectors/sink'
import type { Disk } from '#runtime/storage/disk'
import type { LocalCommittable } from './output.ts'

/** @throws {WeirError} CKP_COMMIT_LOST, STO_EXISTS, STO_UNAVAILABLE, STO_DENIED */
export async function commitLocal(file: LocalCommittable, disk: Disk): Promise<CommitOutcome> {
  const { hidden, final } = file
  if ((await disk.stat(final)) === undefined) {
    try {
      await disk.rename(hidden, final)
    } catch (error) {
      if (error instanceof WeirError && error.code === 'STO_MISSING') return whereItWent(file, disk)
      throw error
    }
  } else if ((await disk.stat(hidden)) !== undefined)
    throw new WeirError(
      'STO_EXISTS',
      `Cannot commit ${hidden} as ${final}: another file has that name. Remove or rename it.`,
    )
  // Also for an earlier call that ended before it came here.
  await disk.syncDirectory(dirname(final))
  return 'committed'
}

async function whereItWent({ hidden, final, marker }: LocalCommittable, disk: Disk): Promise<CommitOutcome> {
  // Another process may have committed it between the look and the rename.
  if ((await disk.stat(final)) !== undefined) return 'committed'
  if ((await disk.stat(marker)) !== undefined) return 'consumed'
  throw new WeirError(
    'CKP_COMMIT_LOST',
    `A completed checkpoint holds output that is gone: neither ${hidden} nor ${final} exists, ` +
      `nor ${marker}, so this is not the directory that it was written to, ` +
      'but one of the same path on another machine, or one that was made anew. ' +
      'Mount the same directory on every machine, put the files back, or restore from an older savepoint.',
  )
}
