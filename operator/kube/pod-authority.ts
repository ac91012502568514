/**
 * The API server as a pod reaches it: by the variables and files that Kubernetes gives to every pod
 * with a service account. Written out here because the client library, which reads kubeconfigs too,
 * takes 80 MB of memory.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '#runtime/base/clock'
import type { Authority } from './client.ts'

const MOUNTED = '/var/run/secrets/kubernetes.io/serviceaccount'
/** The kubelet renews tokens long before they expire. */
const READ_AGAIN_MS = 60_000

interface Identity {
  readonly token: string
  readonly ca: string
  /** On the monotonic clock. */
  readonly readAt: number
}

export interface PodAuthorityOptions {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  /** Where token and certificate authority are mounted. */
  readonly directory?: string
}

/** Undefined outside a pod, and where KUBECONFIG names something else. */
export function podAuthority({
  env,
  clock,
  directory = MOUNTED,
}: PodAuthorityOptions): Authority | undefined {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443', KUBECONFIG: config } = env
  if (host === undefined || config !== undefined) return undefined
  let known: Identity | undefined
  const identity = async (): Promise<Identity> => {
    const readAt = clock.monotonic()
    if (known !== undefined && readAt - known.readAt < READ_AGAIN_MS) return known
    const [token = '', ca = ''] = await Promise.all(
      ['token', 'ca.crt'].map((name) => readFile(join(directory, name), 'utf8')),
    )
    return (known = { token: token.trim(), ca, readAt })
  }
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    authorize: async (options) => {
      const { token, ca } = await identity()
      options.ca = ca
      options.headers = Object.assign({}, options.headers, { authorization: `Bearer ${token}` })
    },
  }
}
