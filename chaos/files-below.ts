import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { systemCode } from '#runtime/base/errors'

/**
 * Paths of the files below a directory, from there. A directory that is not there has none: it may
 * have been removed while the one above was read.
 */
export async function filesBelow(directory: string, prefix = ''): Promise<string[]> {
  const entries = await readdir(join(directory, prefix), { withFileTypes: true }).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return []
    throw error
  })
  const below = entries.map(async (entry) => {
    const name = join(prefix, entry.name)
    if (entry.isDirectory()) return await filesBelow(directory, name)
    return entry.isFile() ? [name] : []
  })
  return (await Promise.all(below)).flat()
}
