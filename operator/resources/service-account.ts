import { names } from './names.ts'
import type { KubeObject } from './object.ts'
import { ownedMeta, type JobRef } from './run-context.ts'

/**
 * Identity of the pods of a job that names none. It has no permissions and its token is never
 * mounted.
 */
export function serviceAccount(job: JobRef): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: ownedMeta(job, names.serviceAccount(job.name)),
    automountServiceAccountToken: false,
  }
}
