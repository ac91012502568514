import type { Timer } from '#runtime/base/clock'
import { WeirError } from '#runtime/base/errors'
import type { SourceContext, SplitDiscovery } from '#runtime/connectors/source'
import type { PollResult } from '#runtime/element/receiver'
import { partsOf, type FileSplit, type FileTree } from './file-tree.ts'
import { retryIo } from './retry-io.ts'

const FILES_PER_POLL = 256

interface DiscoveryState {
  /** Paths handed out. */
  readonly seen: readonly string[]
  /** A bounded source has handed out all it will. */
  readonly complete: boolean
}

export interface DiscoveryOptions {
  /** For messages: `files.lines(...)`. */
  readonly what: string
  /** Undefined: it looks once. */
  readonly watchMs: number | undefined
  /** Larger files are handed out in parts of about this size; Infinity: none is. */
  readonly splitBytes: number
}

/**
 * Finds files: once, or again every `watchMs`. A file is handed out once, by its path; the paths
 * are the state. While watching, a failure to list is logged and tried again at the next turn.
 */
export class FileDiscovery implements SplitDiscovery<FileSplit> {
  readonly #what: string
  readonly #tree: FileTree
  readonly #watchMs: number | undefined
  readonly #splitBytes: number
  readonly #context: SourceContext
  readonly #seen = new Set<string>()
  #found: FileSplit[] = []
  #listing = false
  #complete = false
  #hasLooked = false
  #isDue = true
  #timer: Timer | undefined
  readonly #closing = new AbortController()

  constructor({ what, watchMs, splitBytes }: DiscoveryOptions, tree: FileTree, context: SourceContext) {
    this.#what = what
    this.#watchMs = watchMs
    this.#splitBytes = splitBytes
    this.#tree = tree
    this.#context = context
  }

  open(restored: unknown): void {
    const state = restored as DiscoveryState | undefined
    for (const path of state?.seen ?? []) this.#seen.add(path)
    this.#complete = this.#watchMs === undefined && state?.complete === true
  }

  poll(emit: (split: FileSplit) => void): PollResult {
    if (this.#complete && this.#found.length === 0) return 'done'
    if (this.#found.length > 0) {
      // All parts of a file at once, as a snapshot knows it by its path.
      for (const file of this.#found.splice(0, FILES_PER_POLL)) {
        this.#seen.add(file.path)
        for (const split of partsOf(file, this.#splitBytes)) emit(split)
      }
      return 'progressed'
    }
    if (this.#isDue && !this.#listing) void this.#list()
    return 'idle'
  }

  snapshot(): DiscoveryState {
    return { seen: [...this.#seen], complete: this.#complete && this.#found.length === 0 }
  }

  hasGivenAll(): boolean {
    return (this.#complete || this.#hasLooked) && this.#found.length === 0
  }

  close(): void {
    this.#timer?.cancel()
    this.#closing.abort()
  }

  async #list(): Promise<void> {
    this.#listing = true
    this.#isDue = false
    const { clock } = this.#context
    const isNew = (path: string) => !this.#seen.has(path)
    try {
      const found = await (this.#watchMs === undefined
        ? retryIo({ clock, what: `list ${this.#what}`, signal: this.#closing.signal }, () =>
            this.#tree.list(isNew),
          )
        : this.#tree.list(isNew))
      this.#found = found
      if (found.length === 0 && this.#watchMs !== undefined) this.#noteEmpty()
      else this.#context.counters.waiting = undefined
      this.#complete = this.#watchMs === undefined
      this.#hasLooked = true
    } catch (error) {
      if (this.#closing.signal.aborted) return
      if (!this.#mayPass(error)) return this.#context.fail(error)
    } finally {
      this.#listing = false
    }
    if (this.#closing.signal.aborted) return
    if (this.#watchMs !== undefined) {
      this.#timer = clock.after(this.#watchMs, () => {
        this.#isDue = true
        this.#context.wake()
      })
    }
    this.#context.wake()
  }

  /** Nothing found and nothing found ever: perhaps a path that nobody will ever fill. */
  #noteEmpty(): void {
    const { counters, clock } = this.#context
    const message = `a first file for ${this.#what}: nothing is there, or no such path`
    if (this.#seen.size === 0) counters.waiting ??= { since: clock.now(), message }
  }

  /** While watching, what is looked for may come later, and so may a store that does not answer. */
  #mayPass(error: unknown): boolean {
    const code = error instanceof WeirError ? error.code : undefined
    if (this.#watchMs === undefined || code === 'STO_DENIED') return false
    if (code === 'STO_MISSING') this.#noteEmpty()
    else this.#context.logger.warn({ err: error, source: this.#what }, 'cannot list files, will try again')
    this.#hasLooked ||= code === 'STO_MISSING'
    return true
  }
}
