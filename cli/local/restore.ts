import { failed } from '#cli/cli-error'
import type { CliContext } from '#cli/context'
import type { Target } from '#cli/target'
import { readLocalJob } from './job-file.ts'
import { openLocal } from './local-target.ts'
import { runInForeground } from './run-in-foreground.ts'

export interface LocalRestoreOptions {
  readonly allowNonRestoredState?: boolean
  readonly output?: string
}

/** Runs a stopped local job again as it was run last, from a savepoint. */
export async function restoreLocal(
  cli: CliContext,
  target: Extract<Target, { kind: 'local' }>,
  savepoint: string,
  options: LocalRestoreOptions,
): Promise<number> {
  const local = openLocal(target)
  if (local.client !== undefined)
    throw failed(
      `${local.name} is running; it has to be stopped before it can go back to a savepoint.`,
      `Stop it with: weir stop ${local.name}`,
    )
  const { file, args, taskManagers, slots, parallelism, checkpointIntervalMs } = local.record.job
  const job = await readLocalJob(
    file,
    {
      name: local.name,
      taskManagers,
      slots,
      ...(parallelism === undefined ? {} : { parallelism }),
      checkpointInterval: checkpointIntervalMs,
      from: savepoint,
      stateDir: local.state.path,
      ...(options.allowNonRestoredState === undefined
        ? {}
        : { allowNonRestoredState: options.allowNonRestoredState }),
    },
    cli.cwd,
  )
  return await runInForeground(
    cli,
    { ...job, args },
    { stateDir: local.state.path, ...(options.output === undefined ? {} : { output: options.output }) },
  )
}
