import { execFile } from 'node:child_process'

export interface CommandOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  /** Written to the program's standard input. */
  readonly input?: string
  readonly timeoutMs?: number
}

export interface CommandResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Debian keeps programs for root in folders that are not on everybody's PATH. */
export function programEnv(): NodeJS.ProcessEnv {
  return {
    ...process.env,
    PATH: `${process.env['PATH'] ?? '/usr/bin:/bin'}:/usr/local/go/bin:/usr/sbin:/sbin`,
  }
}

/**
 * Runs a program to its end without a shell. Never rejects on a non-zero exit code: the caller
 * reads `code` (127: not found, 124: time limit).
 */
export function attempt(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = execFile(
      program,
      [...args],
      {
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
        env: { ...programEnv(), ...options.env },
        maxBuffer: 256 * 1024 * 1024,
        timeout: options.timeoutMs ?? 0,
      },
      (error, stdout, stderr) => {
        if (error === null) return resolve({ code: 0, stdout, stderr })
        if (error.killed === true)
          return resolve({ code: 124, stdout, stderr: `${stderr}\nno end within ${options.timeoutMs} ms` })
        if (error.code === 'ENOENT') return resolve({ code: 127, stdout, stderr: `${program}: not found` })
        resolve({
          code: typeof error.code === 'number' ? error.code : 1,
          stdout,
          stderr: stderr === '' ? error.message : stderr,
        })
      },
    )
    child.stdin?.on('error', () => {})
    child.stdin?.end(options.input ?? '')
  })
}

/**
 * Runs a program and gives its standard output.
 * @throws {Error} naming the command, its exit code and the end of what it printed
 */
export async function run(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const result = await attempt(program, args, options)
  if (result.code === 0) return result.stdout
  const printed = `${result.stdout}\n${result.stderr}`.trim().split('\n').slice(-40).join('\n')
  throw new Error(`${[program, ...args].join(' ').slice(0, 400)} ended with code ${result.code}:\n${printed}`)
}

/** Path of a program, or undefined. */
export async function which(program: string): Promise<string | undefined> {
  const result = await attempt('sh', ['-c', 'command -v "$1"', 'sh', program])
  return result.code === 0 ? result.stdout.trim() : undefined
}
