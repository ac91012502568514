import { retrying } from '#runtime/base/backoff'
import type { Clock } from '#runtime/base/clock'
import type { Deployment, SubtaskPlace } from '#runtime/contract/rpc'
import { subtaskKey } from '#runtime/contract/rpc'
import type { OpenRestorePoint } from './restore-point.ts'
import { matchUids } from './restore-point.ts'
import type { StateFile, SubtaskState, VertexState } from '#runtime/contract/checkpoint-records'
import { keyGroupRange } from '#runtime/element/key-group'
import { matchStates } from './match-states.ts'
import type { RestoreChain, RestoreInput } from './subtask-restore.ts'

const PARALLEL_READS = 8
const RETRY = { initialMs: 100, maxMs: 2000, multiplier: 2, jitter: 0.2 }

export interface LoadOptions {
  readonly clock: Clock
  readonly random: () => number
  readonly signal: AbortSignal
  /** Time without an answer of the store after which a read is given up. */
  readonly limitMs: number
  /** Called with each file that has been read. */
  onRead(sizeBytes: number): void
}

/**
 * What each of the subtasks restores from. A file that several of them need is read once and shared
 * between their threads. A subtask needs the keyed state whose key groups overlap its own, and the
 * list states of all.
 */
export async function loadRestore(
  point: OpenRestorePoint | undefined,
  deployment: Deployment,
  own: readonly SubtaskPlace[],
  options: LoadOptions,
): Promise<Record<string, RestoreInput>> {
  if (point === undefined) return {}
  const { stored } = matchUids(point.manifest, deployment.plan)
  const { states } = matchStates(point.manifest, deployment.plan, stored)
  const reader = new SharedReader(point, options)
  const inputs: Record<string, RestoreInput> = {}
  await Promise.all(
    own.map(async (place) => {
      const vertex = deployment.plan.vertices.find((v) => v.id === place.vertex)
      if (vertex === undefined) return
      const wanted = new Set(vertex.operators.flatMap((o) => stored[o.uid] ?? []))
      const range = keyGroupRange(place.subtask, vertex.parallelism, deployment.plan.maxParallelism)
      const chains: Promise<RestoreChain>[] = []
      for (const old of point.manifest.vertices) {
        if (!old.uids.some((uid) => wanted.has(uid))) continue
        for (const subtask of old.subtasks) chains.push(loadChain(reader, old, subtask, range))
      }
      inputs[subtaskKey(place)] = {
        checkpointId: point.checkpointId,
        storedUid: stored,
        states,
        chains: await Promise.all(chains),
      }
    }),
  )
  return inputs
}

async function loadChain(
  reader: SharedReader,
  vertex: VertexState,
  old: SubtaskState,
  range: { from: number; to: number },
): Promise<RestoreChain> {
  const [from, to] = old.keyGroups
  const overlaps = from < range.to && range.from < to
  const [keyed, lists] = await Promise.all([
    Promise.all((overlaps ? old.chain : []).map((f) => reader.read(f))),
    old.lists === undefined ? undefined : reader.read(old.lists),
  ])
  return { oldSubtask: old.subtask, oldParallelism: vertex.parallelism, uids: vertex.uids, keyed, lists }
}

/** Reads every file once, a few at a time, into memory that threads can share. */
class SharedReader {
  readonly #point: OpenRestorePoint
  readonly #options: LoadOptions
  readonly #files = new Map<string, Promise<Uint8Array>>()
  #active = 0
  readonly #waiting: (() => void)[] = []

  constructor(point: OpenRestorePoint, options: LoadOptions) {
    this.#point = point
    this.#options = options
  }

  read(file: StateFile): Promise<Uint8Array> {
    const key = file.key ?? file.sha256
    const known = this.#files.get(key)
    if (known !== undefined) return known
    const reading = this.#read(file)
    this.#files.set(key, reading)
    return reading
  }

  async #read(file: StateFile): Promise<Uint8Array> {
    while (this.#active === PARALLEL_READS) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    this.#active++
    try {
      const { onRead, ...retry } = this.#options
      const what = `read of ${file.key ?? 'an inlined file'}`
      const bytes = await retrying(() => this.#point.read(file), { what, ...RETRY, ...retry })
      onRead(bytes.byteLength)
      const shared = new Uint8Array(new SharedArrayBuffer(bytes.byteLength))
      shared.set(bytes)
      return shared
    } finally {
      this.#active--
      this.#waiting.shift()?.()
    }
  }
}
