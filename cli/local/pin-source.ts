import { systemClock } from '#runtime/base/clock'
import { JobManagerClient } from '#runtime/contract/job-manager-client'
import { locateManifest, parseStorageUrl } from '#runtime/storage/storage-url'
import { LockFile } from './lock.ts'
import type { OpenedRun } from './open-run.ts'
import { StateDir } from './state-dir.ts'

/**
 * A run that starts from a checkpoint of another local job which runs: its leader is asked to keep
 * that checkpoint. Savepoints, and checkpoints of jobs that do not run, are not retired.
 * @throws {WeirError} CKP_RESTORE when that job does not retain it any more; NET_LOST
 */
export async function pinSource({ restore, record }: OpenedRun): Promise<void> {
  const path = restore?.path
  const source = path === undefined ? undefined : runningOwner(path)
  if (path === undefined || source === undefined) return
  const { namespace, name, uid } = record
  await new JobManagerClient(source, { clock: systemClock }).pin({ path, by: `${namespace}/${name}/${uid}` })
}

/** Whether `path` is a checkpoint of a local job that runs: that job knows whether it keeps it. */
export const isOfRunningJob = (path: string): boolean => runningOwner(path) !== undefined

/** Address of the local job whose checkpoint `path` names; undefined where none runs. */
function runningOwner(path: string): { readonly url: string; readonly token: string } | undefined {
  const { root, key } = locateManifest(path)
  const place = parseStorageUrl(root)
  if (place.type !== 'file' || !key.startsWith('chk/')) return undefined
  const state = StateDir.owning(place.path)
  const url = state?.read()?.rest
  if (state === undefined || url === undefined) return undefined
  return LockFile.holder(state.lockFile) === undefined ? undefined : { url, token: state.token() }
}
