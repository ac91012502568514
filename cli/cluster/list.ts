import type { Output } from '#cli/output'
import { table } from '#cli/table'
import type { ClusterOptions } from '#cli/target'
import { openCluster } from './cluster.ts'
import { conditionOf, type StreamJobObject } from './objects.ts'
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
  const rows = jobs.map((job) => [...(allNamespaces ? [job.metadata.namespace] : []), ...rowOf(job, now)])
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

function rowOf(job: StreamJobObject, now: number): readonly (string | number | undefined)[] {
  const { metadata, status = {} } = job
  const { phase, waits = [], replicas, lastCheckpoint, restarts } = status
  const ready = conditionOf(job, 'Ready')?.status ?? 'Unknown'
  const age = ageOf(metadata.creationTimestamp, now)
  return [metadata.name, ready, phase, waits[0]?.kind, replicas, lastCheckpoint?.id, restarts, age]
}
