import type { RunNumber } from '#runtime/contract/ids'
import { LABEL_COMPONENT, LABEL_LEADER, runOf, type Component } from '#operator/resources/labels'
import type { KubeObject } from '#operator/resources/object'
import type { PodAddress } from '#operator/job-managers/watcher'
import type { JobManagerPod } from './observed.ts'

/** Pods of one component, whatever run they belong to. */
function ofComponent(pods: readonly KubeObject[], component: Component): readonly KubeObject[] {
  return pods.filter((p) => p.metadata.labels?.[LABEL_COMPONENT] === component)
}

const ofRun = (pods: readonly KubeObject[], run: RunNumber): readonly KubeObject[] =>
  pods.filter((p) => runOf(p) === run)

/** JobManagers of a run that can be asked. */
export function jobManagerAddresses(pods: readonly KubeObject[], run: RunNumber): readonly PodAddress[] {
  return ofRun(ofComponent(pods, 'job-manager'), run).flatMap((pod) => {
    const ip = statusOf(pod).podIP
    return ip === undefined || !isAlive(pod) ? [] : [{ pod: pod.metadata.name, ip }]
  })
}

export function jobManagerPodsOf(pods: readonly KubeObject[], run: RunNumber): readonly JobManagerPod[] {
  const addresses = jobManagerAddresses(pods, run)
  return ofRun(ofComponent(pods, 'job-manager'), run)
    .filter((p) => p.metadata.deletionTimestamp === undefined)
    .map((p) => ({
      name: p.metadata.name,
      isLeader: p.metadata.labels?.[LABEL_LEADER] === 'true',
      hasAddress: addresses.some((a) => a.pod === p.metadata.name),
      readySince: readySince(p),
    }))
}

export const countTaskManagers = (pods: readonly KubeObject[]): number =>
  ofComponent(pods, 'task-manager').filter(isAlive).length

function isAlive(pod: KubeObject): boolean {
  const { phase } = statusOf(pod)
  return pod.metadata.deletionTimestamp === undefined && phase !== 'Failed' && phase !== 'Succeeded'
}

function readySince(pod: KubeObject): number | undefined {
  const ready = statusOf(pod).conditions?.find((c) => c.type === 'Ready' && c.status === 'True')
  return ready && Date.parse(ready.lastTransitionTime ?? pod.metadata.creationTimestamp ?? '')
}

interface PodStatus {
  readonly phase?: string
  readonly podIP?: string
  readonly conditions?: readonly {
    readonly type: string
    readonly status: string
    readonly lastTransitionTime?: string
  }[]
}

const statusOf = (pod: KubeObject): PodStatus => pod['status'] ?? {}
