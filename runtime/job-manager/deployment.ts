import type { LogState } from '#runtime/commit-log/log-state'
import type { RestorePoint } from '#runtime/contract/checkpoint-records'
import type { Deployment, SinkHistory } from '#runtime/contract/rpc'
import type { Attempt, Member } from './attempt.ts'
import type { PlannedJob } from './plan-job.ts'

export interface DeploymentInput {
  readonly attempt: Attempt
  readonly point: RestorePoint
  readonly planned: PlannedJob
  readonly members: readonly Member[]
  readonly log: LogState
}

/** Everything that a TaskManager needs to run its part of an attempt. Pure. */
export function deploymentOf({ attempt, point, planned, members, log }: DeploymentInput): Deployment {
  const { plan, parallelism, module } = planned
  const addresses = members.flatMap((m) =>
    attempt.members.get(m.id) === m.key ? [[m.id, m.dataAddress] as const] : [],
  )
  return {
    attempt: attempt.id,
    planHash: plan.hash,
    plan,
    parallelism,
    module,
    places: attempt.places,
    dataAddresses: Object.fromEntries(addresses),
    restore: point,
    sinks: sinkHistory(log, point),
  }
}

/** What the checkpoint coordinator needs to know of the plan. */
export function attemptPlan({ plan }: PlannedJob) {
  const vertices = plan.vertices.map(({ id, parallelism }) => ({ id, parallelism }))
  return { planHash: plan.hash, maxParallelism: plan.maxParallelism, vertices }
}

/**
 * What the log knows of the transactions that sinks find. It knows nothing of those in a savepoint
 * that somebody asked for: ids of another job are not this one's, and an attempt of this job that
 * failed after the savepoint has left a branch that later ids do not continue.
 */
function sinkHistory(log: LogState, point: RestorePoint): SinkHistory {
  const isAsked = point.kind === 'savepoint' && point.manifest === undefined
  return {
    committedUpTo: isAsked ? point.committedUpTo : log.committedUpTo,
    savepoints: log.savepoints.map(({ attempt, id }) => ({ attempt, id })),
  }
}
