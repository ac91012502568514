/** What a fault needs of the machine, looked for once; what is missing is said, never guessed. */
import { execFile, execFileSync } from 'node:child_process'
import { promisify } from 'node:util'
import { messageOf } from '#runtime/base/errors'
import { tempDir } from '#tools/servers/temp-dir'
import { aptTool } from '#tools/servers/tools'

const run = promisify(execFile)

export type Need = 'tmpfs' | 'faketime'

/** `missing`: why, and what to do. */
export type Found = { readonly at: string } | { readonly missing: string }

export type Machine = Readonly<Record<Need, Found>>

export async function lookAtMachine(needs: ReadonlySet<Need>): Promise<Machine> {
  const unasked = { missing: 'nothing asked for it' }
  return {
    tmpfs: needs.has('tmpfs') ? await findTmpfs() : unasked,
    faketime: needs.has('faketime') ? await findFaketime() : unasked,
  }
}

async function findTmpfs(): Promise<Found> {
  if (process.getuid?.() !== 0)
    return { missing: 'filling a disk needs a small one of its own (tmpfs), and mounting it needs root' }
  try {
    await using directory = await tempDir('chaos-mount')
    const mount = await SmallDisk.mount(directory.path, 1)
    mount.unmount()
    return { at: 'mount' }
  } catch (error) {
    return { missing: `a small disk (tmpfs) cannot be mounted here: ${messageOf(error)}` }
  }
}

async function findFaketime(): Promise<Found> {
  if (process.platform !== 'linux') return { missing: 'stepping a clock needs libfaketime on Linux' }
  try {
    await aptTool('faketime', 'faketime')
    const { stdout } = await run('faketime', ['-f', '+0s', 'printenv', 'LD_PRELOAD'])
    // The wrapper preloads the variant for one thread; the processes have several.
    const library = stdout.trim().replace(/libfaketime\.so/, 'libfaketimeMT.so')
    if (await stepsClocks(library)) return { at: library }
    return { missing: `${library} does not step the clock of a process here` }
  } catch (error) {
    return { missing: messageOf(error) }
  }
}

/** The loader replaces parts of the path, so trying is the only way to know. */
async function stepsClocks(library: string): Promise<boolean> {
  const env = { ...process.env, LD_PRELOAD: library, FAKETIME: '+7200s' }
  const { stdout } = await run('date', ['+%s'], { env })
  return Number(stdout) > Date.now() / 1000 + 7000
}

const mounted = new Set<string>()
process.once('exit', () => {
  for (const path of mounted) unmount(path)
})

/** A tmpfs; it goes with this process. */
export class SmallDisk {
  readonly path: string

  private constructor(path: string) {
    this.path = path
  }

  /** `path` is an empty directory. */
  static async mount(path: string, sizeMib: number): Promise<SmallDisk> {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${sizeMib}m`, 'weir-chaos', path])
    mounted.add(path)
    return new SmallDisk(path)
  }

  unmount(): void {
    unmount(this.path)
    mounted.delete(this.path)
  }
}

/** Also while somebody has a file open there. */
const unmount = (path: string): void => void execFileSync('umount', ['-l', path])
