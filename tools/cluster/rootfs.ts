import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { attempt } from './command.ts'

/** The user that every image runs as. */
export const UID = 10001

/**
 * A minimal root file system made of this machine's own programs: each with the shared libraries
 * that ldd names, at the paths the loader looks for. For machines without a registry; where there
 * is one, images are built on public bases.
 */
export class RootFs {
  readonly dir: string
  constructor(dir: string) {
    this.dir = dir
  }

  static make(dir: string): RootFs {
    const root = new RootFs(dir)
    for (const folder of ['etc', 'app', 'data', 'proc', 'sys', 'dev'])
      mkdirSync(join(dir, folder), { recursive: true })
    mkdirSync(join(dir, 'tmp'), { recursive: true })
    chmodSync(join(dir, 'tmp'), 0o1777)
    root.write('/etc/passwd', `root:x:0:0:root:/root:/bin/sh\nweir:x:${UID}:${UID}:weir:/tmp:/bin/sh\n`)
    root.write('/etc/group', `root:x:0:\nweir:x:${UID}:\n`)
    // Names in /etc/hosts (the pod's own) before DNS.
    root.write('/etc/nsswitch.conf', 'hosts: files dns\n')
    return root
  }

  write(path: string, text: string): void {
    mkdirSync(dirname(join(this.dir, path)), { recursive: true })
    writeFileSync(join(this.dir, path), text)
  }

  copy(from: string, to = from): void {
    const target = join(this.dir, to)
    if (existsSync(target)) return
    mkdirSync(dirname(target), { recursive: true })
    copyFileSync(realpathSync(from), target)
    chmodSync(target, 0o755)
  }

  link(target: string, path: string): void {
    mkdirSync(dirname(join(this.dir, path)), { recursive: true })
    symlinkSync(target, join(this.dir, path))
  }

  /** Copies a program with its libraries; a static program has none. */
  async program(from: string, to: string): Promise<void> {
    this.copy(from, to)
    const libraries = await attempt('ldd', [from])
    if (libraries.code !== 0) return
    for (const [, path] of libraries.stdout.matchAll(/(?:=>\s*|^\s*)(\/\S+)\s+\(0x/gm))
      if (path !== undefined) this.copy(path)
  }

  /** Certificate authorities of this machine, where it has them. */
  certificates(): void {
    const bundle = '/etc/ssl/certs/ca-certificates.crt'
    if (existsSync(bundle)) this.copy(bundle)
  }
}
