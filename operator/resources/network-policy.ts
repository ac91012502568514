import { LABEL_JOB } from './labels.ts'
import { names, ports } from './names.ts'
import type { KubeObject } from './object.ts'
import { ownedMeta, type JobRef } from './run-context.ts'

/**
 * Ingress only: the RPC and data ports are for pods of the same job; REST (which has a token) and
 * its metrics are for everybody.
 */
export function networkPolicy(job: JobRef): KubeObject {
  const pods = { matchLabels: { [LABEL_JOB]: job.name } }
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: ownedMeta(job, names.networkPolicy(job.name)),
    spec: {
      podSelector: pods,
      policyTypes: ['Ingress'],
      ingress: [
        {
          from: [{ podSelector: pods }],
          ports: [
            { protocol: 'TCP', port: ports.rpc },
            { protocol: 'TCP', port: ports.data },
          ],
        },
        { ports: [{ protocol: 'TCP', port: ports.rest }] },
      ],
    },
  }
}
