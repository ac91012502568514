import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { silentLogger } from '#runtime/base/logger'
import { CheckpointCoordinator } from '#runtime/checkpoint/coordinator'
import type { Term } from '#runtime/commit-log/term'
import type { StateFile, SubtaskState } from '#runtime/contract/checkpoint-records'
import type { Barrier } from '#runtime/contract/rpc'
import { MemoryObjects, MemoryStore } from '#runtime/storage/memory-store'
import { stateFileKey } from '#runtime/storage/paths'
import { MAX_CHAIN_LENGTH } from '#runtime/task/subtask-snapshot'
import { TestClock } from '#runtime/testing/test-clock'
import { subtaskAck, subtaskDecline } from '#test/kit/checkpoint'
import { append, deployBody, JOB, leadLog } from '#test/kit/commit-log'

const CHECKPOINTS = 100_000
const INTERVAL_MS = 10_000
const RETAIN = 3
const SUBTASKS = 2
const plan = {
  planHash: 'plan',
  maxParallelism: 128,
  vertices: [{ id: 'count', parallelism: SUBTASKS }],
}

/** Runs the garbage collector; bytes in use after it. */
function heapUsed(): number {
  setFlagsFromString('--expose-gc')
  ;(runInNewContext('gc') as () => void)()
  return process.memoryUsage().heapUsed
}

/**
 * A job of two subtasks under the coordinator, with real log, manifests and deletions; what the
 * subtasks write is made up here. It is busy and idle in turn, one checkpoint in fifty fails with
 * its files written, and now and then another leader goes on.
 */
class SmallJob {
  readonly clock = new TestClock()
  readonly objects = new MemoryObjects(() => this.clock.now())
  readonly most = { objects: 0, manifestBytes: 0, snapshotBytes: 0, recordBytes: 0 }
  completed = 0
  failed = 0
  #coordinator: CheckpointCoordinator | undefined
  /** By checkpoint id: what every subtask then has in the store. */
  readonly #states = new Map<number, readonly SubtaskState[]>()

  async lead(): Promise<void> {
    this.#coordinator?.close()
    const { clock, objects } = this
    const store = new MemoryStore({ objects })
    const { term } = await leadLog(store, { clock })
    const options = { timeoutMs: 60_000, minPauseMs: 0, tolerableFailures: 3, retain: RETAIN }
    const coordinator = new CheckpointCoordinator({
      clock,
      random: Math.random,
      logger: silentLogger,
      store,
      term,
      job: JOB,
      options: { ...options, intervalMs: INTERVAL_MS },
      send: {
        trigger: (_, barrier) => void this.#snapshot(store, term, barrier),
        complete: (_, { checkpointId }) => this.#complete(checkpointId),
        abort: () => void this.failed++,
      },
      onFailureLimit: (error) => expect.unreachable(error.message),
      onFenced: (error) => expect.unreachable(error.message),
      onChange: () => undefined,
    })
    this.#coordinator = coordinator
    const isFirst = term.state.deploy === undefined
    if (isFirst) await append(term, deployBody('1.1'))
    const highestId = term.state.highestId
    coordinator.start({ ...plan, attempt: '1.1', isRestored: false, highestId })
  }

  /** Busy for an hour, idle for an hour. */
  #isIdle(): boolean {
    return Math.floor(this.clock.monotonic() / 3_600_000) % 2 === 1
  }

  async #snapshot(store: MemoryStore, term: Term, barrier: Barrier): Promise<void> {
    const base = this.#states.get(barrier.base)
    const isIdle = base !== undefined && this.#isIdle()
    const states = isIdle ? base : await Promise.all(this.#changed(store, barrier, base))
    this.#states.set(barrier.id, states)
    for (const id of this.#states.keys()) if (id < barrier.base) this.#states.delete(id)
    for (const [subtask, state] of states.entries()) {
      const of = { subtask, epoch: term.epoch, checkpointId: barrier.id }
      if (barrier.id % 50 === 0 && subtask === 1) this.#coordinator?.onDecline(subtaskDecline(of))
      else this.#coordinator?.onAck(subtaskAck({ ...of, state }))
    }
  }

  #changed(store: MemoryStore, { directory, id }: Barrier, base: readonly SubtaskState[] | undefined) {
    return Array.from({ length: SUBTASKS }, async (_, subtask): Promise<SubtaskState> => {
      const before = base?.[subtask]?.chain ?? []
      const isFull = before.length === 0 || before.length === MAX_CHAIN_LENGTH
      const write = async (part: 'state' | 'lists', mode: StateFile['mode']): Promise<StateFile> => {
        const key = stateFileKey(directory, { vertex: 'count', subtask, attempt: '1.1', part })
        await store.create(key, Buffer.from(`${id}`))
        return { key, sizeBytes: 5, sha256: 'ab'.repeat(32), writtenBy: id, mode }
      }
      const file = await write('state', isFull ? 'full' : 'delta')
      const lists = await write('lists', 'full')
      return { subtask, keyGroups: [0, 128], chain: isFull ? [file] : [...before, file], lists }
    })
  }

  #complete(id: number): void {
    if (this.#states.has(id)) this.completed++
    if (this.completed % 100 !== 0) return
    const all = this.objects.list('')
    const largest = (what: RegExp) =>
      Math.max(0, ...all.filter((o) => what.test(o.key)).map((o) => o.sizeBytes))
    this.most.objects = Math.max(this.most.objects, all.length)
    this.most.manifestBytes = Math.max(this.most.manifestBytes, largest(/manifest/))
    this.most.snapshotBytes = Math.max(this.most.snapshotBytes, largest(/log\/snap/))
    this.most.recordBytes = Math.max(this.most.recordBytes, largest(/log\/[0-9]/))
  }
}

test(
  'a job that has run for 100,000 checkpoints holds no more than after a day',
  { timeout: 120_000 },
  async () => {
    const job = new SmallJob()
    let afterADay = 0
    for (let done = 10_000; done <= CHECKPOINTS; done += 10_000) {
      await job.lead()
      await job.clock.runUntil(Infinity, () => job.completed >= done)
      if (done === 10_000) afterADay = heapUsed()
    }
    expect(job.failed).toBeGreaterThan(1000)
    // The log keeps what came in the last hour and since its last snapshot, some 560 records. Of
    // checkpoints there are those retained and those that wait for their deletion, some 9.
    expect(job.most.objects).toBeLessThan(750)
    expect(job.most.recordBytes).toBeLessThan(1000)
    expect(job.most.snapshotBytes).toBeLessThan(6000)
    expect(job.most.manifestBytes).toBeLessThan(1000 + 200 * SUBTASKS * (MAX_CHAIN_LENGTH + 1))
    expect(heapUsed() - afterADay).toBeLessThan(5_000_000)
  },
)
