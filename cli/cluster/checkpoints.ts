import { formatBytes } from '#runtime/base/units'
import type { Output } from '#cli/output'
import { table } from '#cli/table'
import type { Target } from '#cli/target'
import { openCluster } from './cluster.ts'
import { ageOf } from './status.ts'

/** What the object tells: the newest checkpoint. The history is in the JobManager's REST. */
export async function lastCheckpointOnCluster(
  output: Output,
  target: Extract<Target, { kind: 'cluster' }>,
): Promise<void> {
  const job = await (await openCluster(target)).job(target.name)
  const last = job.status?.lastCheckpoint
  output.result(
    last === undefined ? [] : [last],
    last?.id === undefined
      ? `${target.name} has completed no checkpoint yet.`
      : table(
          ['ID', 'AGE', 'SIZE', 'DURATION', 'PATH'],
          [
            [
              last.id,
              ageOf(last.completedAt, Date.now()),
              last.sizeBytes === undefined ? undefined : formatBytes(last.sizeBytes),
              last.duration,
              last.path,
            ],
          ],
        ),
  )
}
