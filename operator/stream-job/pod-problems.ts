import type { Reason } from '#operator/api/conditions'
import { isQuota } from '#operator/kube/refusal'
import type { KubeObject } from '#operator/resources/object'

/** What is wrong with the pods of a job, in the words that a user needs. */
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
  readonly lastTransitionTime?: string
  readonly reason?: string
  readonly message?: string
}
type PodStatus = {
  readonly phase?: string
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
  now: number,
): PodProblem | undefined {
  const found = [...workloads.flatMap(refusal), ...pods.flatMap((pod) => problemsOfPod(pod, now))]
  const order: readonly Reason[] = [
    'QuotaExceeded',
    'ObjectRefused',
    'ImagePullFailed',
    'ContainerConfigInvalid',
    'MountFailed',
    'OutOfMemory',
    'ContainerFailing',
    'Unschedulable',
  ]
  return order.flatMap((reason) => found.find((p) => p.reason === reason) ?? [])[0]
}

function refusal(workload: KubeObject): PodProblem[] {
  const status = workload['status'] as { conditions?: readonly Condition[] } | undefined
  const failure = status?.conditions?.find((c) => c.type === 'ReplicaFailure' && c.status === 'True')
  if (failure === undefined) return []
  const { message: why = failure.reason ?? '' } = failure
  const message = `${workload.kind} ${workload.metadata.name}: ${why}`
  return [{ reason: isQuota(why) ? 'QuotaExceeded' : 'ObjectRefused', message }]
}

function problemsOfPod(pod: KubeObject, now: number): PodProblem[] {
  if (pod.metadata.deletionTimestamp !== undefined) return []
  const status = (pod['status'] ?? {}) as PodStatus
  const containers = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])]
  const { name } = pod.metadata
  return [
    ...containers.flatMap((c) => problemsOfContainer(name, c)),
    ...unschedulable(name, status),
    ...notMounted(pod, status, now),
  ]
}

function unschedulable(pod: string, { conditions }: PodStatus): PodProblem[] {
  const scheduled = conditions?.find((c) => c.type === 'PodScheduled' && c.status === 'False')
  if (scheduled?.reason !== 'Unschedulable') return []
  return [{ reason: 'Unschedulable', message: `Pod ${pod} fits on no node: ${scheduled.message ?? ''}` }]
}

/** Volumes and network of a healthy pod are there after seconds. */
const MOUNT_GRACE_MS = 60_000

/**
 * A pod that has a node and whose containers cannot start yet, as its sandbox is not there. What is
 * missing is in the events of the pod only, so it is said what there is to look for.
 */
function notMounted(pod: KubeObject, { phase, conditions }: PodStatus, now: number): PodProblem[] {
  const started = conditions?.find((c) => c.type === 'PodReadyToStartContainers')
  if (phase !== 'Pending' || started?.status !== 'False') return []
  if (!(now - Date.parse(started.lastTransitionTime ?? '') >= MOUNT_GRACE_MS)) return []
  const { name } = pod.metadata
  const mounts = mountedNames(pod)
  const look = mounts.length === 0 ? '' : ` It mounts ${mounts.join(', ')}: do they exist?`
  const message = `Pod ${name} waits for its volumes or its network for more than a minute.${look}`
  return [{ reason: 'MountFailed', message: `${message} The events of the pod say what is missing.` }]
}

interface Source {
  readonly name?: string
  readonly secretName?: string
  readonly optional?: boolean
}
interface VolumeSources {
  readonly secret?: Source
  readonly configMap?: Source
}
interface Volume extends VolumeSources {
  readonly name: string
  readonly projected?: { readonly sources?: readonly VolumeSources[] }
  readonly persistentVolumeClaim?: { readonly claimName?: string }
}

/** What must exist for a pod to start, apart from what the operator makes for every run. */
function mountedNames(pod: KubeObject): readonly string[] {
  const { volumes = [] } = (pod['spec'] ?? {}) as { readonly volumes?: readonly Volume[] }
  return volumes
    .filter(({ name }) => name !== 'weir-config' && name !== 'weir-token')
    .flatMap(({ projected, persistentVolumeClaim: claim, ...own }) => [
      ...[own, ...(projected?.sources ?? [])].flatMap(namesOf),
      ...(claim?.claimName === undefined ? [] : [`PersistentVolumeClaim ${claim.claimName}`]),
    ])
}

function namesOf({ secret, configMap }: VolumeSources): string[] {
  const named = (kind: string, source: Source | undefined): string[] => {
    const name = source?.secretName ?? source?.name
    return name === undefined || source?.optional === true ? [] : [`${kind} ${name}`]
  }
  return [...named('Secret', secret), ...named('ConfigMap', configMap)]
}

function problemsOfContainer(pod: string, container: ContainerStatus): PodProblem[] {
  const where = `Container ${container.name} of pod ${pod}`
  return [...notStarting(where, container), ...ending(where, container)]
}

function notStarting(where: string, { state }: ContainerStatus): PodProblem[] {
  const { reason, message = '' } = state?.waiting ?? {}
  if (reason === undefined) return []
  const text = `${where}: ${reason}: ${message}`
  if (IMAGE.has(reason)) return [{ reason: 'ImagePullFailed', message: text }]
  return CONFIG.has(reason) ? [{ reason: 'ContainerConfigInvalid', message: text }] : []
}

function ending(where: string, container: ContainerStatus): PodProblem[] {
  const { restartCount = 0 } = container
  const ended = lastEnd(container)
  const isFailing = isEnding(container)
  const restarts = `(${restartCount} restarts)`
  if (ended?.reason === 'OOMKilled' && (isFailing || restartCount > 0)) {
    const what = `${where} was killed because it used more memory than its limit ${restarts}.`
    return [{ reason: 'OutOfMemory', message: `${what} Raise resources.limits.memory.` }]
  }
  if (ended === undefined || !isFailing || ended.exitCode === 0) return []
  const message = `${where} ended with code ${ended.exitCode} ${restarts}: ${lastLines(ended.message)}`
  return [{ reason: 'ContainerFailing', message }]
}

const lastEnd = ({ state, lastState }: ContainerStatus): ContainerState['terminated'] =>
  state?.terminated ?? lastState?.terminated

/** It does not run now, and not because it has never started. */
const isEnding = ({ state }: ContainerStatus): boolean =>
  state?.waiting?.reason === 'CrashLoopBackOff' || state?.terminated !== undefined

/** The end of what the container said, where the error is. */
function lastLines(text: string | undefined): string {
  const trimmed = (text ?? '').trim()
  return trimmed === '' ? 'it said nothing' : trimmed.slice(-800)
}
