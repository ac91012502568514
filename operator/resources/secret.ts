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
  const token = jobToken(key, job)
  const data = { [TOKEN_KEY]: Buffer.from(token).toString('base64') }
  return secret(job, names.tokenSecret(job.name, token), data)
}

/** The keys of a Secret with credentials that a job reads. */
export interface CredentialKeys {
  readonly required: readonly string[]
  readonly optional: readonly string[]
}

export const STORAGE_KEYS: CredentialKeys = {
  required: ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'],
  optional: ['AWS_SESSION_TOKEN'],
}
export const REDIS_KEYS: CredentialKeys = { required: ['password'], optional: ['username'] }

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
