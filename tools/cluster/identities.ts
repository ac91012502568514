/**
 * One authority signs the API server's certificate; every component shows a token of its own, so
 * that no client certificates are needed.
 */
import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, writeFileSync } from 'node:fs'
import { run } from './command.ts'
import { API_IP, API_PORT, NODE, NODE_IP, statePath } from './layout.ts'

export const ca = statePath('certs', 'ca.crt')
export const serviceAccountKey = statePath('certs', 'sa.key')
export const serviceAccountPublicKey = statePath('certs', 'sa.pub')
export const apiKey = statePath('certs', 'api.key')
export const apiCertificate = statePath('certs', 'api.crt')
export const tokenFile = statePath('certs', 'tokens.csv')

const IDENTITIES = [
  { file: 'admin', user: 'admin', group: 'system:masters' },
  { file: 'controllers', user: 'system:kube-controller-manager', group: undefined },
  { file: 'scheduler', user: 'system:kube-scheduler', group: undefined },
  { file: 'kubelet', user: `system:node:${NODE}`, group: 'system:nodes' },
  { file: 'proxy', user: 'system:kube-proxy', group: undefined },
] as const
export type Identity = (typeof IDENTITIES)[number]['file']

export function kubeconfigOf(identity: Identity): string {
  return statePath(`${identity}.kubeconfig`)
}

/** Makes keys, certificates, tokens and kubeconfigs, once. */
export async function makeIdentities(): Promise<void> {
  if (existsSync(tokenFile)) return
  const openssl = (...args: string[]) => run('openssl', args)
  await openssl('genrsa', '-out', serviceAccountKey, '2048')
  await openssl('rsa', '-in', serviceAccountKey, '-pubout', '-out', serviceAccountPublicKey)
  const caKey = statePath('certs', 'ca.key')
  await openssl(
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '365',
    '-keyout',
    caKey,
    '-out',
    ca,
    '-subj',
    '/CN=weir-cluster',
  )
  const extensions = statePath('certs', 'api.ext')
  const names = [
    'kubernetes',
    'kubernetes.default',
    'kubernetes.default.svc',
    'kubernetes.default.svc.cluster.local',
    'localhost',
  ]
  const addresses = ['127.0.0.1', NODE_IP, API_IP]
  writeFileSync(
    extensions,
    `subjectAltName=${[...addresses.map((a) => `IP:${a}`), ...names.map((n) => `DNS:${n}`)].join(',')}\n`,
  )
  const request = statePath('certs', 'api.csr')
  await openssl(
    'req',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    apiKey,
    '-out',
    request,
    '-subj',
    '/CN=kube-apiserver',
  )
  const sign = ['x509', '-req', '-in', request, '-CA', ca, '-CAkey', caKey, '-CAcreateserial', '-days', '365']
  await openssl(...sign, '-extfile', extensions, '-out', apiCertificate)
  const tokens: string[] = []
  for (const { file, user, group } of IDENTITIES) {
    const token = randomBytes(16).toString('hex')
    tokens.push(`${token},${user},${file}${group === undefined ? '' : `,"${group}"`}`)
    writeFileSync(statePath(`${file}.kubeconfig`), kubeconfig(token), { mode: 0o600 })
  }
  writeFileSync(tokenFile, `${tokens.join('\n')}\n`, { mode: 0o600 })
  for (const key of [serviceAccountKey, caKey, apiKey]) chmodSync(key, 0o600)
}

function kubeconfig(token: string): string {
  return `apiVersion: v1
kind: Config
clusters:
  - name: weir
    cluster: {server: "https://127.0.0.1:${API_PORT}", certificate-authority: "${ca}"}
users:
  - name: weir
    user: {token: "${token}"}
contexts:
  - name: weir
    context: {cluster: weir, user: weir}
current-context: weir
`
}
