import { readLog } from '#runtime/commit-log/log-reader'
import type { LogState } from '#runtime/commit-log/log-state'
import type { RunNumber } from '#runtime/contract/ids'
import type { CheckpointStore } from '#runtime/storage/checkpoint-store'
import { FileStore } from '#runtime/storage/file-store'
import type { LocalRecord, StateDir } from './state-dir.ts'

/** The checkpoint store of a local job. The caller closes it. */
export const openJobStore = (state: StateDir, record: LocalRecord): CheckpointStore =>
  new FileStore(state.storageRoot(record))

/**
 * What the job's commit log says, whether it runs or not; undefined when no JobManager has opened
 * it yet.
 */
export async function readJobLog(state: StateDir, record: LocalRecord): Promise<LogState | undefined> {
  const store = openJobStore(state, record)
  try {
    const { state: log } = await readLog(store)
    return log.head < 0 ? undefined : log
  } finally {
    await store.close()
  }
}

/** How `run` was closed; undefined while it may continue. */
export async function closingStatus(
  state: StateDir,
  record: LocalRecord,
  run: RunNumber,
): Promise<ClosingStatus | undefined> {
  const log = await readJobLog(state, record)
  return log?.closed?.run === run ? log.closed.status : undefined
}

export type ClosingStatus = NonNullable<LogState['closed']>['status']

/** Where the job continues from, in words. Pure. */
export function restorePointText(log: LogState | undefined): string {
  const point = log?.restorePoint ?? { kind: 'empty' }
  switch (point.kind) {
    case 'empty':
      return 'the beginning'
    case 'checkpoint':
      return `checkpoint ${point.id}`
    case 'savepoint':
      return `savepoint ${point.path}`
  }
}
