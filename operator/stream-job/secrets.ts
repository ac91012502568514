import { textMembers } from '#runtime/base/member'
import type { OperatorDefaults } from '#operator/config'
import type { KubeClient } from '#operator/kube/client'
import { isNotFound } from '#operator/kube/errors'
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

/** Secrets of a job: its token, and copies of those default credentials that it uses. */
export async function secretsOf(
  context: SecretContext,
  run: RunContext,
  signal: AbortSignal,
): Promise<readonly KubeObject[]> {
  const { job, defaults } = run
  const secrets = [tokenSecret(context.tokenKey, job)]
  for (const { from, name } of credentialsCopies(run, defaults))
    secrets.push(credentialsCopy(job, name, await defaultCredentials(context, from, signal)))
  return secrets
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
