import { writeFileSync } from 'node:fs'
import { run } from './command.ts'
import { startDaemon } from './daemon.ts'
import { kubeconfigOf } from './identities.ts'
import { kube } from './kube-binary.ts'
import { DNS_IP, KUBECONFIG, NODE_IP, statePath } from './layout.ts'

/**
 * CoreDNS runs on the node, bound to the bridge, behind a Service without selector that has the
 * well-known address.
 */
export async function startDns(coredns: string): Promise<void> {
  writeFileSync(
    statePath('Corefile'),
    `.:53 {
  bind ${NODE_IP}
  errors
  kubernetes cluster.local in-addr.arpa {
    kubeconfig ${kubeconfigOf('admin')} weir
    pods insecure
    ttl 1
  }
  loadbalance
}
`,
  )
  startDaemon('coredns', coredns, ['-conf', statePath('Corefile')])
  await run(kube('kubectl'), ['--kubeconfig', KUBECONFIG, 'apply', '-f', '-'], {
    input: JSON.stringify(service),
  })
}

const ports = [
  { name: 'dns', port: 53, protocol: 'UDP' },
  { name: 'dns-tcp', port: 53, protocol: 'TCP' },
]

const service = {
  apiVersion: 'v1',
  kind: 'List',
  items: [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'kube-dns', namespace: 'kube-system' },
      spec: { clusterIP: DNS_IP, ports },
    },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: {
        name: 'kube-dns-node',
        namespace: 'kube-system',
        labels: { 'kubernetes.io/service-name': 'kube-dns' },
      },
      addressType: 'IPv4',
      ports,
      endpoints: [{ addresses: [NODE_IP] }],
    },
  ],
}
