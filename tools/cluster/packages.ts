import { run, which } from './command.ts'
import type { Progress } from './progress.ts'

/**
 * Programs that a one-node cluster needs from the system, and the Debian package of each. A path is
 * looked for as it is.
 */
const NEEDED: Readonly<Record<string, string>> = {
  containerd: 'containerd',
  runc: 'runc',
  '/usr/lib/cni/bridge': 'containernetworking-plugins',
  iptables: 'iptables',
  conntrack: 'conntrack',
  ip: 'iproute2',
  openssl: 'openssl',
  buildah: 'buildah',
}

/**
 * Installs the missing ones by apt.
 * @throws {Error} saying which packages to install, where this process cannot
 */
export async function ensurePackages(
  progress: Progress,
  needed: Readonly<Record<string, string>> = NEEDED,
): Promise<void> {
  const missing: string[] = []
  for (const [program, name] of Object.entries(needed))
    if ((await which(program)) === undefined) missing.push(name)
  if (missing.length === 0) return
  const command = `apt-get install -y --no-install-recommends ${missing.join(' ')}`
  if (process.getuid?.() !== 0 || (await which('apt-get')) === undefined)
    throw new Error(
      `Missing on this machine: ${missing.join(', ')}. ` +
        `Install them (as root on Debian or Ubuntu: ${command}).`,
    )
  progress.say(`installing ${missing.join(', ')} (apt)`)
  const env = { DEBIAN_FRONTEND: 'noninteractive' }
  await run('apt-get', ['update', '-qq'], { env, timeoutMs: 300_000 })
  // A package must not start a service of its own here: the cluster starts what it needs itself.
  await run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...missing], {
    env: { ...env, RUNLEVEL: '1' },
    timeoutMs: 900_000,
  })
}
