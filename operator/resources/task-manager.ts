import { componentSelector, LABEL_RUN } from './labels.ts'
import { configKeys, names, ports } from './names.ts'
import type { KubeObject } from './object.ts'
import { podTemplateSpec } from './pod.ts'
import { type RunContext, workloadMeta } from './run-context.ts'

/**
 * The ReplicaSet of one run's TaskManagers: Kubernetes replaces lost pods also while the operator
 * is away.
 */
export function taskManagerReplicaSet(context: RunContext): KubeObject {
  const { job, spec, defaults } = context
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: workloadMeta(context, names.taskManager(job.name, context.run)),
    spec: {
      replicas: spec.taskManager.replicas,
      selector: {
        matchLabels: { ...componentSelector(job.name, 'task-manager'), [LABEL_RUN]: String(context.run) },
      },
      template: podTemplateSpec(context, {
        component: 'task-manager',
        command: 'weir-task-manager',
        configKey: configKeys.taskManager,
        ports: [{ name: 'data', containerPort: ports.data }],
        probes: {
          readinessProbe: {
            tcpSocket: { port: 'data' },
            periodSeconds: 5,
            timeoutSeconds: 2,
            failureThreshold: 3,
          },
        },
        resources: spec.taskManager.resources ?? defaults.resources.taskManager,
        podTemplate: spec.taskManager.podTemplate,
        threads: spec.taskManager.slots,
        terminationGracePeriodSeconds: 30,
      }),
    },
  }
}
