/**
 * Whether a job cleans up behind itself. A checkpoint that is not retained any more loses its files
 * a minute later; what an outage delays is deleted afterwards.
 */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { systemCode } from '#runtime/base/errors'

export interface Objects {
  /** Files of checkpoints. */
  readonly files: number
  /** Completed checkpoints that are older than OLD_MS and still there. */
  readonly old: number
}

/** Twice the time after which the product deletes. */
const OLD_MS = 120_000
/** Retained checkpoints (3), those that savepoints and restores rest on, and some on their way. */
export const MOST_OLD = 10

/** `jobDirectory`: root of a job on the S3 server's disk. */
export function objectsOf(jobDirectory: string, now: number): Objects {
  const directory = join(jobDirectory, 'chk')
  const files = filesBelow(directory)
  const manifests = files.filter((file) => file.endsWith('/manifest.json'))
  const old = manifests.filter((file) => now - statSync(file).mtimeMs > OLD_MS)
  return { files: files.length, old: old.length }
}

function filesBelow(directory: string): string[] {
  try {
    return readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name))
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return []
    throw error
  }
}
