import { textMembers } from '#runtime/base/member'
import type { OperatorDefaults } from '#operator/config'
import type { KubeClient } from '#operator/kube/client'
import { isConflict, isNotFound } from '#operator/kube/errors'
import { RESOURCES } from '#operator/kube/resource'
import type { KubeObject } from '#operator/resources/object'
import { credentialsCopies } from '#operator/resources/resolved'
import type { RunContext } from '#operator/resources/run-context'
import {
  type CredentialKeys,
  credentialsCopy,
  REDIS_KEYS,
  STORAGE_KEYS,
  tokenSecret,
} from '#operator/resources/secret'
import { ApplyProblem } from './apply-problem.ts'

export interface SecretContext {
  readonly client: KubeClient
  readonly defaults: OperatorDefaults
  /** The operator's own namespace, where default credentials are. */
  readonly namespace: string
  readonly tokenKey: Uint8Array
}

/**
 * Makes the Secrets of a job: its token, and copies of those default credentials that it uses. The
 * operator may create Secrets and overwrite them, and reads none; their names say whose they are.
 */
export async function makeSecrets(
  context: SecretContext,
  run: RunContext,
  signal: AbortSignal,
): Promise<void> {
  const { job, defaults } = run
  await create(context, tokenSecret(context.tokenKey, job), signal)
  for (const { of, from, name } of credentialsCopies(run, defaults)) {
    const keys = of === 'storage' ? STORAGE_KEYS : REDIS_KEYS
    const copy = credentialsCopy(job, name, await defaultCredentials(context, { name: from, keys }, signal))
    const isNew = await create(context, copy, signal)
    // The defaults may have changed since: pods read their credentials again.
    if (!isNew) await context.client.replace(copy, undefined, signal)
  }
}

/** False where it exists. */
async function create({ client }: SecretContext, secret: KubeObject, signal: AbortSignal): Promise<boolean> {
  try {
    await client.create(secret, signal)
    return true
  } catch (error) {
    if (isConflict(error)) return false
    throw error
  }
}

/** Only what a job reads: whatever else is in the Secret stays in the operator's namespace. */
async function defaultCredentials(
  { client, namespace }: SecretContext,
  { name, keys }: { readonly name: string; readonly keys: CredentialKeys },
  signal: AbortSignal,
): Promise<Readonly<Record<string, string>>> {
  const missing = (what: string): ApplyProblem => {
    const named = `Secret ${name} in namespace ${namespace}, which the operator's defaults name,`
    return new ApplyProblem({ reason: 'CredentialsMissing', message: `${named} ${what}.`, needsUser: true })
  }
  const secret = await client.get(RESOURCES.Secret, namespace, name, signal).catch((error: unknown) => {
    throw isNotFound(error) ? missing('does not exist') : error
  })
  const data = textMembers(secret['data'])
  const lacking = keys.required.filter((key) => data[key] === undefined)
  if (lacking.length > 0) throw missing(`has no ${lacking.join(' and no ')}`)
  const wanted = [...keys.required, ...keys.optional]
  return Object.fromEntries(Object.entries(data).filter(([key]) => wanted.includes(key)))
}
