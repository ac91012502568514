import { join } from 'node:path'
import { messageOf } from '#runtime/base/errors'
import type { CheckpointId, RunNumber } from '#runtime/contract/ids'
import { formatAge } from '#cli/age'
import type { Output } from '#cli/output'
import { table } from '#cli/table'
import { STATE_ROOT } from '#cli/target'
import { standingOf } from './local-state.ts'
import { openLocal } from './local-target.ts'
import { StateDir } from './state-dir.ts'

interface Row {
  readonly name: string
  readonly state: string
  readonly run: RunNumber | undefined
  readonly lastCheckpoint: { readonly id: CheckpointId; readonly completedAt: number } | undefined
  readonly stateDir: string
  readonly file: string
  /** Why it is broken. */
  readonly problem?: string
}

export async function listLocal(output: Output, cwd: string): Promise<void> {
  const rows = await Promise.all(
    StateDir.names(cwd).map((name) => rowOrBroken(name, join(cwd, STATE_ROOT, name))),
  )
  for (const { name, problem } of rows) if (problem !== undefined) output.progress(`${name}: ${problem}`)
  const now = Date.now()
  output.result(
    rows,
    rows.length === 0
      ? `No local jobs under ${STATE_ROOT}/ here. Start one with: weir run job.ts`
      : table(
          ['NAME', 'STATE', 'RUN', 'LAST-CP', 'AGE', 'FILE'],
          rows.map((r) => [
            r.name,
            r.state,
            r.run,
            r.lastCheckpoint?.id,
            r.lastCheckpoint && formatAge(now - r.lastCheckpoint.completedAt),
            r.file,
          ]),
        ),
  )
}

/** One record that cannot be read does not hide the other jobs. */
async function rowOrBroken(name: string, stateDir: string): Promise<Row> {
  try {
    return await rowOf(name, stateDir)
  } catch (error) {
    const problem = messageOf(error)
    return { name, stateDir, state: 'Broken', run: undefined, lastCheckpoint: undefined, file: '', problem }
  }
}

async function rowOf(name: string, stateDir: string): Promise<Row> {
  const local = openLocal({ kind: 'local', name, stateDir })
  const standing = await standingOf(local)
  const common = { name: local.name, stateDir, file: local.record.job.file, run: local.record.run }
  if (standing.kind === 'running')
    return { ...common, state: standing.facts.state, lastCheckpoint: standing.facts.checkpoint.last }
  const last = standing.log?.lastCheckpoint
  return {
    ...common,
    state: standing.state,
    lastCheckpoint: last === undefined ? undefined : { id: last.id, completedAt: last.at },
  }
}
