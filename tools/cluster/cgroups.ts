import { existsSync, readdirSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'

const MOUNT = '/sys/fs/cgroup'

/**
 * Removes the empty cgroups that a kubelet leaves behind. A cgroup with processes in it stays: the
 * kernel refuses.
 */
export function removePodCgroups(): void {
  if (!existsSync(MOUNT)) return
  const hierarchies = [MOUNT, ...readdirSync(MOUNT).map((name) => join(MOUNT, name))]
  for (const hierarchy of hierarchies) {
    const top = join(hierarchy, 'kubepods')
    if (existsSync(top)) removeTree(top)
  }
}

function removeTree(dir: string): void {
  try {
    for (const entry of readdirSync(dir, { withFileTypes: true }))
      if (entry.isDirectory()) removeTree(join(dir, entry.name))
    rmdirSync(dir)
  } catch {
    // Busy or gone already.
  }
}
