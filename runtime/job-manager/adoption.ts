import type { ExecutionPlan } from '#runtime/contract/job-plan'
import { subtaskKey, type ExecutionReport, type SubtaskPlace } from '#runtime/contract/rpc'
import type { Deployed } from '#runtime/commit-log/log-state'
import type { AttemptId, CheckpointId, RunNumber } from '#runtime/contract/ids'

export interface AdoptionInput {
  readonly plan: ExecutionPlan
  readonly run: RunNumber
  /** The last DEPLOY in the log. */
  readonly deploy: Deployed | undefined
  /** The run is to end and only commits are left: tasks behind a stop barrier will do. */
  readonly isEnding: boolean
  /** Slots that the job's TaskManagers have together. */
  readonly expectedSlots: number
  /** Of every TaskManager that has answered so far. */
  readonly answers: readonly { readonly slots: number; readonly report: ExecutionReport | undefined }[]
}

export type AdoptionDecision =
  | {
      readonly kind: 'adopt'
      readonly attempt: AttemptId
      readonly places: readonly SubtaskPlace[]
      readonly highestCheckpointId: CheckpointId
    }
  /** Answers are missing that could complete the picture. */
  | { readonly kind: 'wait' }
  | { readonly kind: 'deploy'; readonly why: string }

/**
 * Whether a new leader may take over what runs: if and only if every planned subtask runs exactly
 * once, in the attempt and with the plan of the last DEPLOY. Then no task notices the change of
 * leader; else the job is deployed anew from the log. Pure.
 */
export function decideAdoption({
  plan,
  run,
  deploy,
  isEnding,
  expectedSlots,
  answers,
}: AdoptionInput): AdoptionDecision {
  if (deploy === undefined || deploy.run !== run)
    return { kind: 'deploy', why: 'the first deployment of this run' }
  if (deploy.planHash !== plan.hash) return { kind: 'deploy', why: 'the plan has changed' }
  const reports = answers.flatMap(({ report }) =>
    report !== undefined && report.attempt === deploy.attempt && report.planHash === plan.hash
      ? [report]
      : [],
  )
  const isUsable = ({ state }: ExecutionReport): boolean =>
    state === 'Running' || (isEnding && state === 'Stopped')
  if (!reports.every(isUsable))
    return { kind: 'deploy', why: `attempt ${deploy.attempt} does not run any more` }
  const places = reports.flatMap((r) => r.places)
  const placed = new Set(places.map(subtaskKey))
  if (placed.size < places.length)
    return { kind: 'deploy', why: `a subtask of attempt ${deploy.attempt} runs twice` }
  const planned = plan.vertices.flatMap((v) =>
    Array.from({ length: v.parallelism }, (_, subtask) => subtaskKey({ vertex: v.id, subtask })),
  )
  if (planned.every((key) => placed.has(key)))
    return {
      kind: 'adopt',
      attempt: deploy.attempt,
      places,
      highestCheckpointId: Math.max(0, ...reports.map((r) => r.highestCheckpointId)),
    }
  const slots = answers.reduce((sum, a) => sum + a.slots, 0)
  if (slots < expectedSlots) return { kind: 'wait' }
  const left = `${placed.size} of ${planned.length} subtasks of attempt ${deploy.attempt}`
  return { kind: 'deploy', why: placed.size === 0 ? `attempt ${deploy.attempt} is gone` : `only ${left} run` }
}
