import { type Component, componentSelector } from './labels.ts'
import { names } from './names.ts'
import type { KubeObject } from './object.ts'
import { ownedMeta, type JobRef } from './run-context.ts'

/**
 * A drain of nodes takes the JobManagers, and the TaskManagers, of a job one after the other: a
 * TaskManager that is told to go is relieved first, and a standby takes over. Pods that are not
 * ready hold up no drain.
 */
export const disruptionBudgets = (job: JobRef): readonly KubeObject[] =>
  (['job-manager', 'task-manager'] as const).map((component) => disruptionBudget(job, component))

const disruptionBudget = (job: JobRef, component: Component): KubeObject => ({
  apiVersion: 'policy/v1',
  kind: 'PodDisruptionBudget',
  metadata: ownedMeta(job, names.disruptionBudget(job.name, component)),
  spec: {
    maxUnavailable: 1,
    selector: { matchLabels: componentSelector(job.name, component) },
    unhealthyPodEvictionPolicy: 'AlwaysAllow',
  },
})
