/**
 * What all operators of a cluster have in common and read at their start: the identity of the
 * cluster, which job storage is owned by, and the key that tokens of jobs are derived from.
 */
import { textMember } from '#runtime/base/member'
import { randomBytes } from 'node:crypto'
import { WeirError } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import type { KubeClient } from './kube/client.ts'
import { isConflict, isNotFound } from './kube/errors.ts'
import { RESOURCES } from './kube/resource.ts'

export interface ClusterIdentity {
  /** Identity of the cluster in the storage. */
  readonly cluster: string
  readonly tokenKey: Uint8Array
}

export interface IdentityOptions {
  readonly client: KubeClient
  /** Given by the configuration; else the uid of namespace kube-system. */
  readonly clusterId: string | undefined
  /** The operator's own namespace, where the Secret is. */
  readonly namespace: string
  readonly tokenKeySecret: string
  readonly logger: Logger
}

const KEY_BYTES = 32
const MIN_KEY_BYTES = 16

/** @throws {WeirError} CFG_INVALID when the namespace or the Secret cannot be used */
export async function clusterIdentity(
  options: IdentityOptions,
  signal: AbortSignal,
): Promise<ClusterIdentity> {
  const cluster = options.clusterId ?? (await clusterUid(options.client, signal))
  return { cluster, tokenKey: await tokenKey(options, signal) }
}

async function clusterUid(client: KubeClient, signal: AbortSignal): Promise<string> {
  try {
    const namespace = await client.get(RESOURCES.Namespace, undefined, 'kube-system', signal)
    return namespace.metadata.uid ?? ''
  } catch (cause) {
    const message =
      'The uid of namespace kube-system cannot be read. ' +
      'Allow it, or name the cluster in clusterId of the configuration.'
    throw new WeirError('CFG_INVALID', message, { cause })
  }
}

/** The first operator of the cluster makes the key; all others read the same one. */
async function tokenKey(options: IdentityOptions, signal: AbortSignal): Promise<Uint8Array> {
  try {
    return await readKey(options, signal)
  } catch (error) {
    if (!isNotFound(error)) throw error
  }
  await makeKey(options, signal)
  return readKey(options, signal)
}

async function readKey(
  { client, namespace, tokenKeySecret: name }: IdentityOptions,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const secret = await client.get(RESOURCES.Secret, namespace, name, signal)
  const key = Buffer.from(textMember(secret['data'], 'key') ?? '', 'base64')
  if (key.byteLength >= MIN_KEY_BYTES) return key
  throw new WeirError(
    'CFG_INVALID',
    `Secret ${name} in namespace ${namespace} has no key "key" of at least ${MIN_KEY_BYTES} bytes. ` +
      'Delete it to have a new one made.',
  )
}

async function makeKey(
  { client, namespace, tokenKeySecret: name, logger }: IdentityOptions,
  signal: AbortSignal,
): Promise<void> {
  const data = { key: randomBytes(KEY_BYTES).toString('base64') }
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, type: 'Opaque', data }
  try {
    await client.create(secret, signal)
    logger.info({ secret: name }, 'token key made')
  } catch (error) {
    // Another operator was faster.
    if (!isConflict(error)) throw error
  }
}
