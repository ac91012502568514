/**
 * One holder per lock file among the processes of this machine. The file is created whole (link of
 * a temporary), so it never shows without its holder. A lock whose process is gone is taken over:
 * it is renamed away first and looked at again, so that of two that find it stale only one wins.
 * The safety of the job does not depend on it (the commit log fences); it keeps two `weir run` from
 * disturbing each other.
 */
import { member, textMember } from '#runtime/base/member'
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { systemCode } from '#runtime/base/errors'

export interface LockHolder {
  readonly pid: number
  /** Distinguishes the process from a later one with its pid; undefined where the system cannot. */
  readonly born: string | undefined
  readonly since: number
}

export class LockFile {
  readonly #path: string
  #held = false
  constructor(path: string) {
    this.#path = path
  }

  /** Takes the lock, or returns who holds it. */
  take(now: number): LockHolder | undefined {
    const mine: LockHolder = { pid: process.pid, born: birthOf(process.pid), since: now }
    for (;;) {
      if (this.#create(mine)) {
        this.#held = true
        return undefined
      }
      const holder = readHolder(this.#path)
      if (holder !== undefined && isAlive(holder)) return holder
      this.#removeStale()
    }
  }

  /** The living holder, if any. */
  static holder(path: string): LockHolder | undefined {
    const holder = readHolder(path)
    return holder !== undefined && isAlive(holder) ? holder : undefined
  }

  release(): void {
    if (this.#held) rmSync(this.#path, { force: true })
    this.#held = false
  }

  #create(holder: LockHolder): boolean {
    const temporary = `${this.#path}.${process.pid}.tmp`
    writeFileSync(temporary, JSON.stringify(holder))
    try {
      linkSync(temporary, this.#path)
      return true
    } catch (error) {
      if (systemCode(error) === 'EEXIST') return false
      throw error
    } finally {
      rmSync(temporary, { force: true })
    }
  }

  #removeStale(): void {
    const aside = `${this.#path}.${process.pid}.stale`
    try {
      renameSync(this.#path, aside)
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return
      throw error
    }
    const moved = readHolder(aside)
    try {
      if (moved !== undefined && isAlive(moved)) linkSync(aside, this.#path)
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error
    } finally {
      rmSync(aside, { force: true })
    }
  }
}

function readHolder(path: string): LockHolder | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'))
    const pid = member(value, 'pid')
    if (typeof pid !== 'number') return undefined
    return { pid, born: textMember(value, 'born'), since: Number(member(value, 'since') ?? 0) }
  } catch {
    return undefined
  }
}

function isAlive(holder: LockHolder): boolean {
  try {
    process.kill(holder.pid, 0)
  } catch (error) {
    return systemCode(error) === 'EPERM'
  }
  const born = birthOf(holder.pid)
  return born === undefined || holder.born === undefined || born === holder.born
}

/**
 * Start time of a process in the kernel's own unit, from /proc; undefined where there is no /proc.
 */
function birthOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return undefined
  }
}
