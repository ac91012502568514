import type { StreamJobStatus } from '#operator/api/v1alpha1/stream-job-status'
import type { FactsView } from '#operator/job-managers/facts-view'
import type { JobManagerWatcher } from '#operator/job-managers/watcher'
import type { Stores } from '#operator/kube/stores'
import { keyOf } from '#operator/kube/store'
import type { JobRef } from '#operator/resources/run-context'
import type { RestoreSource } from './observed.ts'
import { LEADER_GRACE_MS } from './run-state.ts'

interface SourceContext {
  readonly stores: Pick<Stores, 'streamJobs'>
  readonly jobManagers: Pick<JobManagerWatcher, 'view'>
}

/** The job that the checkpoint at `path` belongs to; undefined for all that needs no keeping. */
export function restoreSourceOf(
  { stores, jobManagers }: SourceContext,
  job: JobRef,
  path: string | undefined,
): RestoreSource | undefined {
  if (path === undefined) return undefined
  for (const { metadata, status = {} } of stores.streamJobs.values()) {
    const { namespace = '', name } = metadata
    if (namespace !== job.namespace || name === job.name || !isCheckpointOf(status, path)) continue
    const view = jobManagers.view(keyOf(namespace, name))
    return { name, leader: view.leader?.address, ...silenceOf(status, view) }
  }
  return undefined
}

function silenceOf(
  { run }: StreamJobStatus,
  { leader, leaderlessMs }: FactsView,
): Pick<RestoreSource, 'isAwaited' | 'isSilent'> {
  const isLeaderless = run !== undefined && run.outcome === undefined && leader === undefined
  const isRecent = leaderlessMs < LEADER_GRACE_MS
  return { isAwaited: isLeaderless && isRecent, isSilent: isLeaderless && !isRecent }
}

/** Savepoints are never retired. */
const isCheckpointOf = ({ storagePath }: StreamJobStatus, path: string): boolean =>
  storagePath !== undefined && path.startsWith(`${storagePath.replace(/\/+$/, '')}/chk/`)
