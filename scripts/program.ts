import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { repositoryRoot } from '#tools/repository-root'

export interface ProgramResult {
  /** 128 + signal number is not computed: a program ended by a signal has code 1. */
  readonly code: number
  /** stdout and stderr in the order they came; empty when `show`. */
  readonly output: string
  readonly durationMs: number
}

export interface ProgramOptions {
  /** Let the program write to this terminal instead of collecting what it says. */
  readonly show?: boolean
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

/**
 * Runs a Node program of the repository (a script, or the entry of a development dependency) with
 * the Node that runs this one. Never rejects for an exit code.
 */
export function runNode(args: readonly string[], options: ProgramOptions = {}): Promise<ProgramResult> {
  return runProgram(process.execPath, args, options)
}

export function runProgram(
  file: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<ProgramResult> {
  const started = performance.now()
  const child = spawn(file, args, {
    cwd: options.cwd ?? repositoryRoot,
    env: { ...process.env, ...options.env },
    stdio: options.show === true ? 'inherit' : ['ignore', 'pipe', 'pipe'],
  })
  const output = collect(child)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) =>
      resolve({ code: code ?? 1, output: output(), durationMs: performance.now() - started }),
    )
  })
}

function collect(child: ChildProcess): () => string {
  const chunks: Buffer[] = []
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => chunks.push(chunk))
  return () => Buffer.concat(chunks).toString('utf8')
}

/** Path of a program that a development dependency brings. */
export const tool = (path: string): string => join(repositoryRoot, 'node_modules', path)

export const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`
