import type { KubeObject } from './object.ts'
import { componentSelector, jobLabels, LABEL_CHECK, LABEL_COMPONENT } from './labels.ts'
import { configKeys, names, ports } from './names.ts'
import { podTemplateSpec, type PodParts } from './pod.ts'
import type { PodTemplateSpec } from './pod-template.ts'
import { ownedMeta, type RunContext, workloadMeta } from './run-context.ts'

/**
 * The Deployment of JobManagers. Recreate: JobManagers of the next run begin after those of the
 * last have gone.
 */
export function jobManagerDeployment(context: RunContext): KubeObject {
  const { job, spec } = context
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: workloadMeta(context, names.jobManager(job.name)),
    spec: {
      replicas: spec.jobManager.replicas,
      revisionHistoryLimit: 0,
      progressDeadlineSeconds: 600,
      strategy: { type: 'Recreate' },
      selector: { matchLabels: componentSelector(job.name, 'job-manager') },
      template: jobManagerTemplate(context, {
        command: 'weir-job-manager',
        ports: [
          { name: 'rpc', containerPort: ports.rpc },
          { name: 'rest', containerPort: ports.rest },
        ],
        probes: {
          readinessProbe: {
            httpGet: { path: '/readyz', port: 'rest' },
            periodSeconds: 2,
            timeoutSeconds: 2,
            failureThreshold: 3,
          },
          livenessProbe: {
            httpGet: { path: '/healthz', port: 'rest' },
            initialDelaySeconds: 10,
            periodSeconds: 10,
            timeoutSeconds: 5,
            failureThreshold: 6,
          },
        },
      }),
    },
  }
}

/** The container that ends when the check is done; others of a podTemplate may go on. */
export const CHECK_CONTAINER = 'job-manager'

/**
 * A pod like those of the JobManagers that a run would have, which only looks whether it can begin
 * (runtime/bin/check.ts). No Service, budget or workload selects it.
 */
export function checkPod(context: RunContext, id: string): KubeObject {
  const { job } = context
  const template = jobManagerTemplate(context, { command: 'weir-check', ports: [], probes: {} })
  const labels = { ...template.metadata.labels, ...jobLabels(job.name), ...checkLabels(id) }
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...ownedMeta(job, names.check(job.name, id)),
      ...template.metadata,
      labels,
    },
    spec: { ...template.spec, restartPolicy: 'Never', topologySpreadConstraints: [] },
  }
}

const checkLabels = (id: string): Readonly<Record<string, string>> => ({
  'app.kubernetes.io/component': 'check',
  [LABEL_COMPONENT]: 'check',
  [LABEL_CHECK]: id,
})

function jobManagerTemplate(
  context: RunContext,
  parts: Pick<PodParts, 'command' | 'ports' | 'probes'>,
): PodTemplateSpec {
  const { spec, defaults } = context
  return podTemplateSpec(context, {
    ...parts,
    component: 'job-manager',
    configKey: configKeys.jobManager,
    resources: spec.jobManager.resources ?? defaults.resources.jobManager,
    podTemplate: spec.jobManager.podTemplate,
    threads: 1,
    terminationGracePeriodSeconds: 30,
  })
}
