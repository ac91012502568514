import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, writeSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { backoffDelay } from '#runtime/base/backoff'
import type { Clock, Timer } from '#runtime/base/clock'
import { entryUrl } from '#runtime/base/entry'
import { textMember } from '#runtime/base/member'

export interface ProcessExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** Last lines of standard error: what the process said before it ended. */
  readonly lastWords: string
}

export const exitText = (exit: ProcessExit): string => exit.signal ?? `exit code ${exit.code ?? 'unknown'}`

export interface SupervisedProcessOptions {
  /** Entry module below runtime/bin, without extension. */
  readonly entry: 'job-manager' | 'task-manager'
  /** Added to the environment of this process. */
  readonly environment: Readonly<Record<string, string>>
  readonly configFile: string
  readonly logFile: string
  readonly clock: Clock
  readonly random: () => number
  /** Told what the job's code writes to standard output; the log has it too. */
  readonly onPrint: (text: string) => void
  /** Called after each exit that `stop` did not ask for: whether to start it again. */
  readonly onExit: (exit: ProcessExit) => 'restart' | 'leave'
}

const RESTART = { initialMs: 100, maxMs: 5000, multiplier: 2, jitter: 0.1 }
/** A process that ran this long is started again as if it had never ended before. */
const FORGIVE_MS = 10_000
const LAST_WORDS_LENGTH = 4096

/**
 * A child process that is started again when it dies, as a kubelet would: at once the first time,
 * then with growing delays. It dies with its parent.
 */
export class SupervisedProcess {
  readonly #options: SupervisedProcessOptions
  #child: ChildProcess | undefined
  #startedAt = 0
  #exits = 0
  #restart: Timer | undefined
  #isStopping = false
  #gone: Promise<void> = Promise.resolve()

  constructor(options: SupervisedProcessOptions) {
    this.#options = options
  }

  /** Nothing happens while it runs. */
  start(): void {
    if (this.#child !== undefined) return
    this.#restart?.cancel()
    const { entry, environment, configFile, logFile, clock } = this.#options
    const log = openSync(logFile, 'a')
    const child = spawn(process.execPath, programOf(entry), {
      env: { ...process.env, ...environment, WEIR_CONFIG: configFile },
      stdio: ['ignore', log, 'pipe', 'ipc'],
      detached: true,
    })
    let lastWords = ''
    child.stderr?.on('data', (chunk: Buffer) => {
      writeSync(log, chunk)
      lastWords = (lastWords + chunk.toString()).slice(-LAST_WORDS_LENGTH)
    })
    child.on('message', (message) => {
      const text = textMember(message, 'text')
      if (text !== undefined) this.#options.onPrint(text)
    })
    this.#child = child
    this.#startedAt = clock.monotonic()
    this.#gone = new Promise((resolve) => {
      const ended = (code: number | null, signal: NodeJS.Signals | null) => {
        if (this.#child !== child) return
        this.#child = undefined
        closeSync(log)
        resolve()
        this.#ended({ code, signal, lastWords: lastWords.trim() })
      }
      child.once('close', ended)
      child.once('error', (error) => {
        lastWords += error.message
        if (child.pid === undefined) ended(null, null)
      })
    })
  }

  /** Sends a signal to the running child; false when none runs. */
  kill(signal: NodeJS.Signals): boolean {
    return this.#child?.kill(signal) ?? false
  }

  /** Resolves when no child runs; at once where there is none. */
  gone(): Promise<void> {
    return this.#gone
  }

  /**
   * Asks the child to end and waits for it; SIGKILL after `limitMs`, at once for 0. Never starts
   * again. Idempotent.
   */
  async stop(limitMs: number): Promise<void> {
    this.#isStopping = true
    this.#restart?.cancel()
    const child = this.#child
    if (child === undefined) return
    child.kill(limitMs > 0 ? 'SIGTERM' : 'SIGKILL')
    const force = this.#options.clock.after(limitMs, () => child.kill('SIGKILL'))
    await this.#gone
    force.cancel()
  }

  #ended(exit: ProcessExit): void {
    const { clock, random, onExit } = this.#options
    if (this.#isStopping) return
    if (clock.monotonic() - this.#startedAt > FORGIVE_MS) this.#exits = 0
    this.#exits++
    if (onExit(exit) === 'leave' || this.#isStopping) return
    const delay = this.#exits === 1 ? 0 : backoffDelay(RESTART, this.#exits - 1, random())
    this.#restart = clock.after(delay, () => this.start())
  }
}

const programOf = (entry: SupervisedProcessOptions['entry']): readonly string[] => [
  '--import',
  entryUrl('./die-with-parent', import.meta.url).href,
  fileURLToPath(entryUrl(`../../runtime/bin/${entry}`, import.meta.url)),
]
