import { componentSelector, LABEL_LEADER } from './labels.ts'
import { names, ports } from './names.ts'
import type { KubeObject } from './object.ts'
import { ownedMeta, type JobRef } from './run-context.ts'

/** All JobManagers by address, ready or not: TaskManagers hold a connection to each of them. */
export function headlessService(job: JobRef): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: ownedMeta(job, names.jobManager(job.name)),
    spec: {
      clusterIP: 'None',
      publishNotReadyAddresses: true,
      selector: componentSelector(job.name, 'job-manager'),
      ports: [
        { name: 'rpc', port: ports.rpc, targetPort: 'rpc', protocol: 'TCP' },
        { name: 'rest', port: ports.rest, targetPort: 'rest', protocol: 'TCP' },
      ],
    },
  }
}

/** The leading JobManager. */
export function restService(job: JobRef): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: ownedMeta(job, names.restService(job.name)),
    spec: {
      type: 'ClusterIP',
      selector: { ...componentSelector(job.name, 'job-manager'), [LABEL_LEADER]: 'true' },
      ports: [{ name: 'rest', port: ports.rest, targetPort: 'rest', protocol: 'TCP' }],
    },
  }
}
