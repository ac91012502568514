/**
 * Whether a job cleans up behind itself. A checkpoint that is not retained any more loses its files
 * a minute later; what an outage delays is deleted afterwards.
 */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { filesBelow } from './files-below.ts'

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
export async function objectsOf(jobDirectory: string, now: number): Promise<Objects> {
  const directory = join(jobDirectory, 'chk')
  const files = await filesBelow(directory)
  const manifests = files.filter((file) => file.endsWith('/manifest.json'))
  const times = await Promise.all(manifests.map((file) => stat(join(directory, file))))
  return { files: files.length, old: times.filter(({ mtimeMs }) => now - mtimeMs > OLD_MS).length }
}
