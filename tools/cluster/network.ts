import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { attempt, run } from './command.ts'
import { BRIDGE, FIRST_POD_IP, NODE_IP, POD_CIDR, statePath } from './layout.ts'

const NETWORK = 'weir-cluster'
const FORWARD = '/proc/sys/net/ipv4/ip_forward'
const BRIDGE_IPTABLES = '/proc/sys/net/bridge/bridge-nf-call-iptables'

/**
 * The pod network: one bridge that exists before the API server starts, because the server is
 * advertised on the bridge's address (pods reach no other). Bridged packets pass iptables, else the
 * answer to a pod that called a Service comes from the wrong address and is dropped.
 */
export async function makeNetwork(): Promise<void> {
  if ((await attempt('ip', ['link', 'show', BRIDGE])).code !== 0) {
    await run('ip', ['link', 'add', BRIDGE, 'type', 'bridge'])
    await run('ip', ['addr', 'add', `${NODE_IP}/24`, 'dev', BRIDGE])
    await run('ip', ['link', 'set', BRIDGE, 'up'])
  }
  if (!existsSync(BRIDGE_IPTABLES)) await attempt('modprobe', ['br_netfilter'])
  if (!existsSync(BRIDGE_IPTABLES))
    throw new Error(
      `${BRIDGE_IPTABLES} is missing: the kernel module br_netfilter is needed (modprobe br_netfilter).`,
    )
  for (const file of [FORWARD, BRIDGE_IPTABLES]) {
    const before = statePath(`sysctl${file.replaceAll('/', '.')}`)
    if (!existsSync(before)) writeFileSync(before, readFileSync(file, 'utf8'))
    writeFileSync(file, '1')
  }
  writeFileSync(statePath('cni', '10-weir.conflist'), JSON.stringify(cniConfig(), undefined, 2))
}

function cniConfig(): object {
  const ipam = {
    type: 'host-local',
    dataDir: statePath('ipam'),
    ranges: [[{ subnet: POD_CIDR, rangeStart: FIRST_POD_IP }]],
    routes: [{ dst: '0.0.0.0/0' }],
  }
  return {
    cniVersion: '0.4.0',
    name: NETWORK,
    plugins: [
      { type: 'bridge', bridge: BRIDGE, isGateway: true, ipMasq: false, hairpinMode: true, ipam },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  }
}

/** Chains that the kubelet makes and nobody removes; kube-proxy's own go by its `--cleanup`. */
const KUBELET_RULES = [
  ...['INPUT', 'OUTPUT'].map((chain) => ['-t', 'filter', '-D', chain, '-j', 'KUBE-FIREWALL']),
  ...['-F', '-X'].map((action) => ['-t', 'filter', action, 'KUBE-FIREWALL']),
  ...['filter', 'nat', 'mangle'].map((table) => ['-t', table, '-X', 'KUBE-KUBELET-CANARY']),
  ['-t', 'mangle', '-X', 'KUBE-IPTABLES-HINT'],
]

/**
 * Takes the bridge, the namespaces of pods that were left, and the changed kernel settings back.
 */
export async function removeNetwork(): Promise<void> {
  await attempt('ip', ['link', 'del', BRIDGE])
  for (const program of ['iptables', 'ip6tables'])
    for (const rule of KUBELET_RULES) await attempt(program, ['-w', '5', ...rule])
  const results = '/var/lib/cni/results'
  if (existsSync(results))
    for (const file of readdirSync(results))
      if (file.startsWith(`${NETWORK}-`)) rmSync(join(results, file), { force: true })
  for (const file of [FORWARD, BRIDGE_IPTABLES]) {
    const before = statePath(`sysctl${file.replaceAll('/', '.')}`)
    if (existsSync(before) && existsSync(file)) writeFileSync(file, readFileSync(before, 'utf8'))
  }
}
