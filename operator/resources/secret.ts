import { createHmac } from 'node:crypto'
import { names, TOKEN_KEY } from './names.ts'
import type { KubeObject } from './object.ts'
import { ownedMeta, type JobRef } from './run-context.ts'

/**
 * The token of a job is derived from the operator's key and the job's uid, so that the operator can
 * authenticate to the job without a permission to read Secrets, and two replicas of the operator
 * always make the same one.
 */
export function jobToken(key: Uint8Array, job: JobRef): string {
  return createHmac('sha256', key).update(`weir-job-token:${job.uid}`).digest('base64url')
}

export function tokenSecret(key: Uint8Array, job: JobRef): KubeObject {
  return secret(job, names.tokenSecret(job.name), {
    [TOKEN_KEY]: Buffer.from(jobToken(key, job)).toString('base64'),
  })
}

/** A copy of the operator's default credentials next to the job; `data` is base64 as read. */
export function credentialsCopy(
  job: JobRef,
  name: string,
  data: Readonly<Record<string, string>>,
): KubeObject {
  return secret(job, name, data)
}

function secret(job: JobRef, name: string, data: Readonly<Record<string, string>>): KubeObject {
  return { apiVersion: 'v1', kind: 'Secret', metadata: ownedMeta(job, name), type: 'Opaque', data }
}
