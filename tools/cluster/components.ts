import { writeFileSync } from 'node:fs'
import { attempt, run } from './command.ts'
import { isRunning, logTail, startDaemon } from './daemon.ts'
import { eventually } from '#tools/servers/eventually'
import {
  apiCertificate,
  apiKey,
  ca,
  kubeconfigOf,
  serviceAccountKey,
  serviceAccountPublicKey,
  tokenFile,
} from './identities.ts'
import { kube } from './kube-binary.ts'
import {
  API_PORT,
  CONTAINERD_SOCKET,
  DNS_IP,
  ETCD_PORT,
  isOverlay,
  KUBECONFIG,
  NODE,
  NODE_IP,
  POD_CIDR,
  RUN_DIR,
  SERVICE_CIDR,
  STATE_DIR,
  statePath,
} from './layout.ts'

export const PAUSE_IMAGE = 'localhost/weir-pause:1'

/**
 * In the order of starting; stopping goes the other way, with pods removed between the kubelet and
 * containerd.
 */
export const COMPONENTS = [
  'etcd',
  'apiserver',
  'containerd',
  'controllers',
  'scheduler',
  'kubelet',
  'proxy',
  'coredns',
] as const

/** The data may be lost with the machine: it is a cluster for trying out. */
export function startEtcd(): void {
  const client = `http://127.0.0.1:${ETCD_PORT}`
  const data = ['--data-dir', statePath('etcd'), '--unsafe-no-fsync', '--log-level', 'warn']
  startDaemon('etcd', kube('etcd'), [
    ...data,
    '--listen-client-urls',
    client,
    '--advertise-client-urls',
    client,
    '--listen-peer-urls',
    `http://127.0.0.1:${ETCD_PORT + 1}`,
  ])
}

export function startApiServer(): void {
  startDaemon('apiserver', kube('kube-apiserver'), [
    ...['--etcd-servers', `http://127.0.0.1:${ETCD_PORT}`],
    ...['--bind-address', '0.0.0.0', '--secure-port', `${API_PORT}`, '--advertise-address', NODE_IP],
    ...['--service-cluster-ip-range', SERVICE_CIDR, '--allow-privileged'],
    ...['--token-auth-file', tokenFile, '--authorization-mode', 'Node,RBAC', '--client-ca-file', ca],
    ...[
      '--service-account-key-file',
      serviceAccountPublicKey,
      '--service-account-signing-key-file',
      serviceAccountKey,
    ],
    ...['--service-account-issuer', 'https://kubernetes.default.svc'],
    ...['--tls-cert-file', apiCertificate, '--tls-private-key-file', apiKey],
    ...['--kubelet-client-certificate', apiCertificate, '--kubelet-client-key', apiKey],
    // By address: nothing here resolves the node's name, so logs and exec would fail.
    ...['--kubelet-preferred-address-types', 'InternalIP'],
  ])
}

export async function waitForApi(): Promise<void> {
  try {
    await eventually(
      async () => {
        if (!isRunning('apiserver')) throw new Error('kube-apiserver ended')
        return (
          (await attempt(kube('kubectl'), ['--kubeconfig', KUBECONFIG, 'get', '--raw', '/readyz'])).code === 0
        )
      },
      { what: 'the API server is ready', limitMs: 60_000 },
    )
  } catch (error) {
    throw new Error(
      `${String(error)}\n--- kube-apiserver\n${logTail('apiserver')}\n--- etcd\n${logTail('etcd', 5)}`,
      { cause: error },
    )
  }
}

/**
 * Without the capability to lower oom_score_adj, runc fails at every pod; `restrict_oom_score_adj`
 * keeps containerd from asking.
 */
export function startContainerd(): void {
  const snapshotter = isOverlay(STATE_DIR) ? 'native' : 'overlayfs'
  writeFileSync(
    statePath('containerd.toml'),
    `version = 2
root = "${statePath('containerd')}"
state = "${RUN_DIR}"
[grpc]
  address = "${CONTAINERD_SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${statePath('cni')}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "${snapshotter}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
`,
  )
  startDaemon('containerd', 'containerd', ['-c', statePath('containerd.toml')])
}

export async function ctr(...args: string[]): Promise<string> {
  return run('ctr', ['-a', CONTAINERD_SOCKET, '-n', 'k8s.io', ...args])
}

export async function waitForContainerd(): Promise<void> {
  try {
    await eventually(async () => (await ctr('version')) !== '', {
      what: 'containerd answers',
      limitMs: 30_000,
      everyMs: 100,
    })
  } catch (error) {
    throw new Error(`${String(error)}\n--- containerd\n${logTail('containerd')}`, { cause: error })
  }
}

export function startControllers(): void {
  const leader = ['--leader-elect=false', '--profiling=false']
  const keys = [
    '--service-account-private-key-file',
    serviceAccountKey,
    '--root-ca-file',
    ca,
    '--use-service-account-credentials',
  ]
  const node = ['--node-monitor-grace-period', '40s', '--bind-address', '127.0.0.1']
  startDaemon('controllers', kube('kube-controller-manager'), [
    '--kubeconfig',
    kubeconfigOf('controllers'),
    ...keys,
    ...leader,
    ...node,
  ])
  startDaemon('scheduler', kube('kube-scheduler'), [
    '--kubeconfig',
    kubeconfigOf('scheduler'),
    '--bind-address',
    '127.0.0.1',
    ...leader,
  ])
}

/**
 * cgroupfs: there may be no systemd. No enforcement on the node itself: its cgroups are not ours.
 * Old cgroup hierarchies are accepted.
 */
function kubeletConfig(): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    cgroupDriver: 'cgroupfs',
    enforceNodeAllocatable: [],
    failCgroupV1: false,
    failSwapOn: false,
    oomScoreAdj: 0,
    authentication: { anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: ca } },
    authorization: { mode: 'AlwaysAllow' },
    containerRuntimeEndpoint: `unix://${CONTAINERD_SOCKET}`,
    evictionHard: { 'memory.available': '100Mi' },
    // Images are imported once; nothing could pull them again.
    imageGCHighThresholdPercent: 100,
    clusterDNS: [DNS_IP],
    clusterDomain: 'cluster.local',
    resolvConf: statePath('resolv.conf'),
    podLogsDir: statePath('pod-logs'),
  }
}

export function startKubelet(): void {
  writeFileSync(statePath('resolv.conf'), 'nameserver 127.0.0.1\n')
  writeFileSync(statePath('kubelet.json'), JSON.stringify(kubeletConfig(), undefined, 2))
  const identity = [
    '--kubeconfig',
    kubeconfigOf('kubelet'),
    '--hostname-override',
    NODE,
    '--node-ip',
    NODE_IP,
  ]
  startDaemon('kubelet', kube('kubelet'), [
    ...identity,
    '--config',
    statePath('kubelet.json'),
    '--root-dir',
    statePath('kubelet'),
    '--cert-dir',
    statePath('certs', 'kubelet'),
  ])
}

export const proxyArgs = (): string[] => [
  ...[
    '--kubeconfig',
    kubeconfigOf('proxy'),
    '--hostname-override',
    NODE,
    '--proxy-mode',
    'iptables',
    '--cluster-cidr',
    POD_CIDR,
  ],
  // Both would need a capability that a container host may not give.
  ...['--conntrack-max-per-core', '0', '--oom-score-adj', '0'],
]

export function startProxy(): void {
  startDaemon('proxy', kube('kube-proxy'), proxyArgs())
}

export async function waitForNode(): Promise<void> {
  try {
    await eventually(
      async () => {
        if (!isRunning('kubelet')) throw new Error('kubelet ended')
        const path = '{.status.conditions[?(@.type=="Ready")].status}'
        return (
          (await run(kube('kubectl'), [
            '--kubeconfig',
            KUBECONFIG,
            'get',
            'node',
            NODE,
            '-o',
            `jsonpath=${path}`,
          ])) === 'True'
        )
      },
      { what: `node ${NODE} is Ready`, limitMs: 90_000 },
    )
  } catch (error) {
    throw new Error(
      `${String(error)}\n--- kubelet\n${logTail('kubelet')}\n--- containerd\n${logTail('containerd', 5)}`,
      { cause: error },
    )
  }
}
