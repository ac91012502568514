import { componentSelector } from './labels.ts'
import { configKeys, names, ports } from './names.ts'
import type { KubeObject } from './object.ts'
import { podTemplateSpec } from './pod.ts'
import { type RunContext, workloadMeta } from './run-context.ts'

/**
 * The Deployment of JobManagers. Recreate: JobManagers of the next run begin after those of the
 * last have gone.
 */
export function jobManagerDeployment(context: RunContext): KubeObject {
  const { job, spec, defaults } = context
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
      template: podTemplateSpec(context, {
        component: 'job-manager',
        command: 'weir-job-manager',
        configKey: configKeys.jobManager,
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
        resources: spec.jobManager.resources ?? defaults.resources.jobManager,
        podTemplate: spec.jobManager.podTemplate,
        threads: 1,
        terminationGracePeriodSeconds: 30,
      }),
    },
  }
}
