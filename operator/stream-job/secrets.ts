import { textMembers } from '#runtime/base/member'
import type { OperatorDefaults } from '#operator/config'
import type { KubeClient } from '#operator/kube/client'
import { isConflict, isNotFound } from '#operator/kube/errors'
import { RESOURCES } from '#operator/kube/resource'
import type { KubeObject } from '#operator/resources/object'
import { credentialsCopies } from '#operator/resources/resolved'
import type { RunContext } from '#operator/resources/run-context'
import { credentialsCopy, tokenSecret } from '#operator/resources/secret'
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
  for (const { from, name } of credentialsCopies(run, defaults)) {
    const copy = credentialsCopy(job, name, await defaultCredentials(context, from, signal))
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

async function defaultCredentials(
  { client, namespace }: SecretContext,
  name: string,
  signal: AbortSignal,
): Promise<Readonly<Record<string, string>>> {
  try {
    const secret = await client.get(RESOURCES.Secret, namespace, name, signal)
    return textMembers(secret['data'])
  } catch (error) {
    if (!isNotFound(error)) throw error
    const named = `Secret ${name} in namespace ${namespace}, which the operator's defaults name,`
    throw new ApplyProblem({
      reason: 'CredentialsMissing',
      message: `${named} does not exist.`,
      needsUser: true,
    })
  }
}
