import { formatBytes } from '#runtime/base/units'
import type { Output } from '#cli/output'
import { table } from '#cli/table'
import type { Target } from '#cli/target'
import { openCluster } from './cluster.ts'
import { ageOf } from './status.ts'

/** What the object says: the newest checkpoint. The history is in the JobManager's REST. */
export async function lastCheckpointOnCluster(
  output: Output,
  target: Extract<Target, { kind: 'cluster' }>,
): Promise<void> {
  const job = await (await openCluster(target)).job(target.name)
  const last = job.status?.lastCheckpoint
  if (last === undefined) return output.result([], `${target.name} has completed no checkpoint yet.`)
  const age = ageOf(last.completedAt, Date.now())
  const row = [last.id, age, formatBytes(last.sizeBytes), last.duration, last.path]
  output.result([last], table(['ID', 'AGE', 'SIZE', 'DURATION', 'PATH'], [row]))
}
