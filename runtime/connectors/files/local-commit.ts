import { link, open, rename, stat, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { WeirError, messageOf, systemCode } from '#runtime/base/errors'

/** File systems without hard links; names are unique, so a rename replaces nothing there either. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'])

/**
 * Gives a finished file its name. Repeatable. @throws {WeirError} CKP_COMMIT_LOST, STO_EXISTS,
 * STO_UNAVAILABLE
 */
export async function commitLocal(temporary: string, final: string): Promise<void> {
  try {
    await link(temporary, final)
  } catch (error) {
    const code = systemCode(error) ?? ''
    if (code === 'ENOENT') return assertCommitted(temporary, final)
    if (code === 'EEXIST') await assertSame(temporary, final)
    else if (NO_LINKS.has(code)) await renameTo(temporary, final)
    else throw unwritable('commit', final, error)
  }
  await syncDirectory(dirname(final))
  await remove(temporary)
}

async function renameTo(temporary: string, final: string): Promise<void> {
  try {
    await rename(temporary, final)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return assertCommitted(temporary, final)
    throw unwritable('commit', final, error)
  }
}

/** The temporary file is gone: right if an earlier call has committed it. */
async function assertCommitted(temporary: string, final: string): Promise<void> {
  if (await exists(final)) return
  throw new WeirError(
    'CKP_COMMIT_LOST',
    `A completed checkpoint holds output that is gone: neither ${temporary} nor ${final} exists. Restore from an older savepoint, or put the file back.`,
  )
}

/**
 * Linked by an earlier call that ended before it removed the temporary name; anything else is not
 * ours to replace.
 */
async function assertSame(temporary: string, final: string): Promise<void> {
  const [a, b] = await Promise.all([
    stat(temporary).catch(() => undefined),
    stat(final).catch(() => undefined),
  ])
  if (a === undefined || b === undefined || (a.ino === b.ino && a.dev === b.dev)) return
  throw new WeirError(
    'STO_EXISTS',
    `Cannot commit ${temporary} as ${final}: another file has that name. Remove or rename it.`,
  )
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false
    throw unwritable('look for', path, error)
  }
}

/** Idempotent. */
export async function remove(path: string): Promise<void> {
  try {
    await unlink(path)
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw unwritable('remove', path, error)
  }
}

export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

export function unwritable(what: string, path: string, error: unknown): WeirError {
  const code = systemCode(error)
  const denied = code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOTDIR'
  return new WeirError(
    denied ? 'STO_DENIED' : 'STO_UNAVAILABLE',
    `Cannot ${what} ${path}: ${messageOf(error)}.`,
    { cause: error },
  )
}
