import type { RestoreOptions } from '#runtime/contract/job-options'
import type { ExecutionPlan } from '#runtime/contract/job-plan'
import type { S3Access } from '#runtime/contract/process-config'
import type { LogState } from '#runtime/commit-log/log-state'
import type { RestorePoint } from '#runtime/contract/checkpoint-records'
import { checkRestorable, openRestorePoint } from './restore-point.ts'
import type { CheckpointStore } from '#runtime/storage/checkpoint-store'

/**
 * The restore block acts at the first deployment of its run; after that the log decides alone, so
 * that a block left in a manifest rewinds nothing. Pure.
 */
export function restorePointOf(
  log: LogState,
  run: number,
  restore: RestoreOptions | undefined,
): RestorePoint {
  if (restore === undefined || log.deploy?.run === run) return log.restorePoint
  return restore.path === undefined ? { kind: 'empty' } : { kind: 'savepoint', path: restore.path }
}

/**
 * URL of what the point names, once it is known to fit the plan; undefined for an empty start.
 * @throws {WeirError} CKP_RESTORE, STO_CORRUPT, STO_MISSING
 */
export async function verifyRestorePoint(
  point: RestorePoint,
  from: { readonly store: CheckpointStore; readonly s3: S3Access | undefined },
  plan: ExecutionPlan,
  allowNonRestoredState: boolean,
): Promise<string | undefined> {
  const open = await openRestorePoint(point, from.store, from.s3)
  if (open === undefined) return undefined
  try {
    checkRestorable(open.manifest, open.url, plan, allowNonRestoredState)
    return open.url
  } finally {
    await open.close()
  }
}
