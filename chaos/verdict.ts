/** The checks of output and store that need what is on disk. */
import { join } from 'node:path'
import { systemClock } from '#runtime/base/clock'
import { eventually } from '#tools/servers/eventually'
import { MOST_OLD, objectsOf } from './objects.ts'
import { type Beginning, checkOutput, type Findings } from './oracle.ts'
import type { Output, OutputReader } from './output.ts'
import type { InputRecord } from './records.ts'

/** Within it all input has come out, once there is no more. */
const OUTPUT_LIMIT_MS = 60_000
const MOST_SHOWN = 5

/** An output, and what it begins with. */
export interface Lineage<O = OutputReader> {
  /** For messages: "job" or "fork". */
  readonly name: string
  readonly output: O
  readonly beginning: Beginning
}

interface Readable {
  /** What has come out so far. */
  readonly read: () => Promise<Output>
}

/**
 * `inputSoFar` is asked after the output was read, so that nothing has come out that is not in it.
 * @throws when what has come out so far is wrong
 */
export async function requireRight(
  lineage: Lineage<Readable>,
  inputSoFar: () => readonly InputRecord[],
): Promise<Findings> {
  const { records, offences } = await lineage.output.read()
  const found = checkOutput(inputSoFar(), records, lineage.beginning)
  const all = [...offences, ...found.offences]
  if (all.length === 0) return found
  throw new WrongOutput(
    `the output of the ${lineage.name} is wrong, ${all.length} offences: ` +
      all.slice(0, MOST_SHOWN).join('; '),
  )
}

/** It will not get better: a file is never taken back. */
class WrongOutput extends Error {}

/**
 * Waits until every record of `input` has come out.
 * @throws when one has not within the limit, or what has come out is wrong
 */
export async function requireComplete(
  lineage: Lineage<Readable>,
  input: readonly InputRecord[],
  limitMs = OUTPUT_LIMIT_MS,
): Promise<number> {
  const { findings } = await eventually(
    async () => {
      try {
        const found = await requireRight(lineage, () => input)
        if (found.missing.length === 0) return { findings: found }
        throw new Error(`missing: ${found.missing.slice(0, MOST_SHOWN).join('; ')}`)
      } catch (error) {
        if (error instanceof WrongOutput) return { findings: error }
        throw error
      }
    },
    { limitMs, what: `the whole output of the ${lineage.name}`, everyMs: 300 },
  )
  if (findings instanceof Error) throw findings
  return findings.records
}

/** What a savepoint, or an attempt that was given up, may leave unpublished: a file per subtask. */
const MOST_UNPUBLISHED = 6

/**
 * Unpublished parts of the output: those of savepoints stay, and what a process sends off while
 * another attempt has taken over.
 * @throws when there are more than so many recoveries, ends of runs and savepoints can have left
 */
export async function requireNoLitter({ name, output }: Lineage, mayHaveLeftLitter: number): Promise<number> {
  const unpublished = await output.unpublishedFiles()
  const most = mayHaveLeftLitter * MOST_UNPUBLISHED
  if (unpublished.length <= most) return unpublished.length
  throw new Error(
    `${unpublished.length} files of the ${name} were never published nor removed, ` +
      `at most ${most} expected: ${unpublished.slice(0, MOST_SHOWN).join(', ')}`,
  )
}

/**
 * Files of checkpoints below the roots of all jobs.
 * @throws when there are more old checkpoints than a job that cleans up would leave
 */
export async function requireTidy(
  s3Directory: string,
  jobs: readonly { name: string; uid: string }[],
): Promise<number> {
  let files = 0
  for (const { name, uid } of jobs) {
    const found = await objectsOf(join(s3Directory, 'jobs', 'default', name, uid), systemClock.now())
    files += found.files
    if (found.old > MOST_OLD)
      throw new Error(
        `${name} ${uid} left ${found.old} old checkpoints in the store, at most ${MOST_OLD} expected`,
      )
  }
  return files
}
