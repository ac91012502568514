import { mkdirSync, statfsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** Versions of what the one-node cluster is built from. */
export const KUBERNETES = '1.34.4'
export const COREDNS = 'v1.13.1'
export const HELM = 'v3.19.0'

/**
 * Addresses of the one-node cluster: the bridge's address is the node's, reachable from the host
 * and from every pod.
 */
export const NODE = 'weir-node'
export const BRIDGE = 'weir0'
export const NODE_IP = '10.244.0.1'
export const POD_CIDR = '10.244.0.0/24'
export const FIRST_POD_IP = '10.244.0.10'
export const SERVICE_CIDR = '10.96.0.0/24'
export const API_IP = '10.96.0.1'
export const DNS_IP = '10.96.0.10'
export const API_PORT = 6443
export const ETCD_PORT = 23790
/** What a second cluster, or anything else on this machine, may already hold. */
export const PORTS = [API_PORT, ETCD_PORT, ETCD_PORT + 1, 10248, 10249, 10250, 10256, 10257, 10259] as const

/** Everything that a running one-node cluster leaves on disk; `down` removes both folders whole. */
export const STATE_DIR = process.env['WEIR_CLUSTER_STATE'] ?? '/var/tmp/weir-cluster'
export const RUN_DIR = '/run/weir-cluster'
export const CONTAINERD_SOCKET = join(RUN_DIR, 'containerd.sock')
export const CACHE_DIR = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'weir')

export function statePath(...parts: string[]): string {
  return join(STATE_DIR, ...parts)
}

export function makeStateDirs(): void {
  for (const dir of ['log', 'pid', 'certs', 'cni', 'ipam', 'pod-logs', 'kubelet'])
    mkdirSync(statePath(dir), { recursive: true, mode: 0o700 })
  mkdirSync(RUN_DIR, { recursive: true, mode: 0o700 })
}

export const KUBECONFIG = statePath('admin.kubeconfig')

const OVERLAYFS = 0x794c7630

/**
 * Whether `dir` lies on an overlay itself, as in most containers: another one cannot be put on it.
 */
export function isOverlay(dir: string): boolean {
  return statfsSync(dir).type === OVERLAYFS
}
