import type { Reason } from '#operator/api/conditions'
import type { KubeObject } from '#operator/resources/object'

/** What is wrong with the pods of a job, in the words that a user needs. Pure. */
export interface PodProblem {
  readonly reason: Reason
  readonly message: string
}

interface ContainerState {
  readonly waiting?: { readonly reason?: string; readonly message?: string }
  readonly terminated?: { readonly reason?: string; readonly message?: string; readonly exitCode?: number }
}
interface ContainerStatus {
  readonly name: string
  readonly restartCount?: number
  readonly state?: ContainerState
  readonly lastState?: ContainerState
}
interface Condition {
  readonly type: string
  readonly status: string
  readonly reason?: string
  readonly message?: string
}
type PodStatus = {
  readonly conditions?: readonly Condition[]
  readonly containerStatuses?: readonly ContainerStatus[]
  readonly initContainerStatuses?: readonly ContainerStatus[]
}

const IMAGE = new Set([
  'ImagePullBackOff',
  'ErrImagePull',
  'InvalidImageName',
  'ErrImageNeverPull',
  'ImageInspectError',
])
const CONFIG = new Set(['CreateContainerConfigError', 'CreateContainerError', 'RunContainerError'])

/** The most telling problem, or undefined. Causes come before their consequences. */
export function findPodProblem(
  pods: readonly KubeObject[],
  workloads: readonly KubeObject[],
): PodProblem | undefined {
  const found = [...workloads.flatMap(refusal), ...pods.flatMap(problemsOfPod)]
  const order: readonly Reason[] = [
    'QuotaExceeded',
    'ImagePullFailed',
    'ContainerConfigInvalid',
    'OutOfMemory',
    'ContainerFailing',
    'Unschedulable',
  ]
  return order.flatMap((reason) => found.find((p) => p.reason === reason) ?? [])[0]
}

function refusal(workload: KubeObject): PodProblem[] {
  const status = workload['status'] as { conditions?: readonly Condition[] } | undefined
  const failure = status?.conditions?.find((c) => c.type === 'ReplicaFailure' && c.status === 'True')
  return failure === undefined
    ? []
    : [
        {
          reason: 'QuotaExceeded',
          message: `${workload.kind} ${workload.metadata.name}: ${failure.message ?? failure.reason ?? ''}`,
        },
      ]
}

function problemsOfPod(pod: KubeObject): PodProblem[] {
  if (pod.metadata.deletionTimestamp !== undefined) return []
  const status = (pod['status'] ?? {}) as PodStatus
  const scheduled = status.conditions?.find((c) => c.type === 'PodScheduled' && c.status === 'False')
  const containers = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])]
  return [
    ...containers.flatMap((c) => problemsOfContainer(pod.metadata.name, c)),
    ...(scheduled?.reason === 'Unschedulable'
      ? [
          {
            reason: 'Unschedulable' as const,
            message: `Pod ${pod.metadata.name} fits on no node: ${scheduled.message ?? ''}`,
          },
        ]
      : []),
  ]
}

function problemsOfContainer(pod: string, container: ContainerStatus): PodProblem[] {
  const where = `Container ${container.name} of pod ${pod}`
  const waiting = container.state?.waiting
  const ended = container.state?.terminated ?? container.lastState?.terminated
  const problems: PodProblem[] = []
  if (waiting?.reason !== undefined && IMAGE.has(waiting.reason))
    problems.push({
      reason: 'ImagePullFailed',
      message: `${where}: ${waiting.reason}: ${waiting.message ?? ''}`,
    })
  if (waiting?.reason !== undefined && CONFIG.has(waiting.reason))
    problems.push({
      reason: 'ContainerConfigInvalid',
      message: `${where}: ${waiting.reason}: ${waiting.message ?? ''}`,
    })
  const restarts = container.restartCount ?? 0
  const failing = waiting?.reason === 'CrashLoopBackOff' || container.state?.terminated !== undefined
  if (ended?.reason === 'OOMKilled' && (failing || restarts > 0))
    problems.push({
      reason: 'OutOfMemory',
      message: `${where} was killed because it used more memory than its limit (${restarts} restarts). Raise resources.limits.memory.`,
    })
  else if (failing && ended !== undefined && ended.exitCode !== 0)
    problems.push({
      reason: 'ContainerFailing',
      message: `${where} ended with code ${ended.exitCode} (${restarts} restarts): ${lastLines(ended.message)}`,
    })
  return problems
}

/** The end of what the container said, where the error is. */
function lastLines(text: string | undefined): string {
  const trimmed = (text ?? '').trim()
  return trimmed === '' ? 'it said nothing' : trimmed.slice(-800)
}
