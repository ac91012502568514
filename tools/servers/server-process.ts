import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants } from 'node:fs'
import { connect } from 'node:net'
import { eventually } from './eventually.ts'

export interface ServerCommand {
  readonly name: string
  readonly file: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly port: number
}

const SETPRIV = '/usr/bin/setpriv'
const children = new Set<ChildProcess>()
process.once('exit', () => children.forEach((child) => child.kill('SIGKILL')))

/**
 * A server child on 127.0.0.1 that dies with this process (by parent-death signal where Linux
 * offers it, else by an exit handler).
 */
export class ServerProcess {
  readonly #command: ServerCommand
  #child: ChildProcess | undefined
  #output = ''
  constructor(command: ServerCommand) {
    this.#command = command
  }

  get pid(): number {
    const pid = this.#child?.pid
    if (pid === undefined) throw new Error(`${this.#command.name} is not running`)
    return pid
  }

  /** Its last words, for a message; undefined while it runs. */
  get lastWords(): string | undefined {
    const child = this.#child
    const isRunning = child !== undefined && child.exitCode === null && child.signalCode === null
    return isRunning ? undefined : this.#output
  }

  /**
   * Resolves when the port accepts connections; rejects with the server's own words when it exits
   * first.
   */
  async start(): Promise<void> {
    const { name, file, args, env, port } = this.#command
    const wrapped = isExecutable(SETPRIV)
      ? [SETPRIV, '--pdeathsig', 'KILL', '--', file, ...args]
      : [file, ...args]
    const child = spawn(wrapped[0] as string, wrapped.slice(1), {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    })
    this.#child = child
    this.#output = ''
    children.add(child)
    const keep = (chunk: Buffer): void => {
      this.#output = (this.#output + chunk.toString()).slice(-4000)
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    let failure: Error | undefined
    child.once('error', (error) => (failure = error))
    child.once('exit', (code, signal) => {
      children.delete(child)
      failure ??= new Error(`${name} exited with ${signal ?? code}`)
    })
    await eventually(() => failure !== undefined || accepts(port), {
      limitMs: 20_000,
      what: `${name} listens on 127.0.0.1:${port}`,
    })
    if (failure !== undefined)
      throw new Error(`${name} did not start on port ${port}: ${failure.message}\n${this.#output}`)
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    const force = setTimeout(() => child.kill('SIGKILL'), 5000)
    await exited
    clearTimeout(force)
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' }, () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
