/**
 * The long-running programs of the one-node cluster. Each is known by its process id and the time
 * it started, written down when it starts: an id that now belongs to another program is never
 * signalled.
 */
import { spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { eventually } from '#tools/servers/eventually'
import { programEnv } from './command.ts'
import { statePath } from './layout.ts'

interface Recorded {
  readonly pid: number
  readonly started: string
}

/**
 * Field 22 of /proc/<pid>/stat: start time in clock ticks since boot; undefined when there is no
 * such process or only its unreaped rest.
 */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? undefined : fields[19]
  } catch {
    return undefined
  }
}

function recorded(name: string): Recorded | undefined {
  const file = statePath('pid', name)
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Recorded) : undefined
}

export function isRunning(name: string): boolean {
  const known = recorded(name)
  return known !== undefined && startTime(known.pid) === known.started
}

/** Starts `program` in the background with its output in log/<name>.log, unless it runs already. */
export function startDaemon(name: string, program: string, args: readonly string[]): void {
  if (isRunning(name)) return
  const log = openSync(statePath('log', `${name}.log`), 'a')
  const child = spawn(program, [...args], { detached: true, stdio: ['ignore', log, log], env: programEnv() })
  closeSync(log)
  // A program that cannot be started shows when what it serves is waited for.
  child.on('error', () => {})
  child.unref()
  const started = child.pid === undefined ? undefined : startTime(child.pid)
  if (child.pid === undefined || started === undefined)
    throw new Error(`Cannot start ${program}; see ${statePath('log', `${name}.log`)}`)
  writeFileSync(statePath('pid', name), JSON.stringify({ pid: child.pid, started } satisfies Recorded))
}

export async function stopDaemon(name: string): Promise<void> {
  const known = recorded(name)
  if (known !== undefined && isRunning(name)) {
    process.kill(known.pid, 'SIGTERM')
    try {
      await eventually(async () => !isRunning(name), {
        what: `${name} (process ${known.pid}) ends after SIGTERM`,
        limitMs: 10_000,
        everyMs: 50,
      })
    } catch {
      process.kill(known.pid, 'SIGKILL')
      await eventually(async () => !isRunning(name), {
        what: `${name} (process ${known.pid}) ends after SIGKILL`,
        limitMs: 10_000,
        everyMs: 50,
      })
    }
  }
  rmSync(statePath('pid', name), { force: true })
}

export function recordedDaemons(): string[] {
  return existsSync(statePath('pid')) ? readdirSync(statePath('pid')) : []
}

/** The last lines of a daemon's log, for an error. */
export function logTail(name: string, lines = 15): string {
  const file = statePath('log', `${name}.log`)
  return existsSync(file)
    ? readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).join('\n')
    : '(no log)'
}
