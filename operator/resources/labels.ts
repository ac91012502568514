import type { RunNumber } from '#runtime/contract/ids'
import type { KubeObject } from './object.ts'

export const LABEL_JOB = 'weir.dev/job'
export const LABEL_COMPONENT = 'weir.dev/component'
export const LABEL_RUN = 'weir.dev/run'
/**
 * `true` on the pod of the leading JobManager; set by the operator, selected by the REST Service.
 */
export const LABEL_LEADER = 'weir.dev/leader'
/** Why a Savepoint was made by the operator: Upgrade or Suspend. */
export const ANNOTATION_TRIGGER = 'weir.dev/trigger'
/** uid of the StreamJob that a Savepoint made by the operator comes from. */
export const ANNOTATION_JOB_UID = 'weir.dev/job-uid'
/** What the JobManager said about the files of such a Savepoint (taken-savepoint.ts). */
export const ANNOTATION_TAKEN = 'weir.dev/taken'
/** Of a Deployment or ReplicaSet: name of the Secret with the token that its pods have. */
export const ANNOTATION_TOKEN_SECRET = 'weir.dev/token-secret'

/** Of a StreamJob: another value begins a new run from the last checkpoint. */
export const ANNOTATION_RESTARTED_AT = 'weir.dev/restartedAt'
/** Of a StreamJob: `Disabled` makes the operator leave the job alone. */
export const ANNOTATION_RECONCILE = 'weir.dev/reconcile'

/** Of a pod that checks a run before it begins: what it checks (names.check). */
export const LABEL_CHECK = 'weir.dev/check'

export type Component = 'job-manager' | 'task-manager'
export const MANAGER = 'weir-operator'

/** Labels of every object of a job. Labels of GitOps tools are never copied from the job. */
export function jobLabels(job: string): Record<string, string> {
  return {
    'app.kubernetes.io/name': 'weir-job',
    'app.kubernetes.io/instance': job,
    'app.kubernetes.io/part-of': 'weir',
    'app.kubernetes.io/managed-by': MANAGER,
    [LABEL_JOB]: job,
  }
}

export function podLabels(job: string, component: Component, run: RunNumber): Record<string, string> {
  return {
    ...jobLabels(job),
    'app.kubernetes.io/component': component,
    [LABEL_COMPONENT]: component,
    [LABEL_RUN]: String(run),
  }
}

/** What workloads and Services select by; never changes for an object. */
export function componentSelector(job: string, component: Component): Record<string, string> {
  return { [LABEL_JOB]: job, [LABEL_COMPONENT]: component }
}

/** The run that an object belongs to; 0 where it says none. */
export function runOf(object: KubeObject): number {
  return Number(object.metadata.labels?.[LABEL_RUN] ?? 0)
}

export function selectorText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',')
}
