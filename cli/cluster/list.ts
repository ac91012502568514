import type { Output } from '#cli/output'
import { table } from '#cli/table'
import type { ClusterOptions } from '#cli/target'
import { openCluster } from './cluster.ts'
import { conditionOf } from './objects.ts'
import { ageOf } from './status.ts'

/** The columns that `kubectl get stj` prints. */
export async function listOnCluster(
  output: Output,
  options: ClusterOptions,
  allNamespaces: boolean,
): Promise<void> {
  const cluster = await openCluster(options)
  const jobs = await cluster.jobs({ allNamespaces })
  const now = Date.now()
  const rows = jobs.map((job) => [
    ...(allNamespaces ? [job.metadata.namespace] : []),
    job.metadata.name,
    conditionOf(job, 'Ready')?.status ?? 'Unknown',
    job.status?.phase,
    job.status?.waits?.[0]?.kind,
    job.status?.replicas,
    job.status?.lastCheckpoint?.id,
    job.status?.restarts,
    ageOf(job.metadata.creationTimestamp, now),
  ])
  const header = [
    ...(allNamespaces ? ['NAMESPACE'] : []),
    'NAME',
    'READY',
    'PHASE',
    'WAITING',
    'TM',
    'LAST-CP',
    'RESTARTS',
    'AGE',
  ]
  output.result(
    jobs,
    rows.length === 0
      ? `No StreamJobs ${allNamespaces ? 'on the cluster' : `in namespace ${cluster.namespace}`}.`
      : table(header, rows),
  )
}
