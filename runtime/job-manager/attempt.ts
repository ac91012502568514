import type { Clock } from '#runtime/base/clock'
import { WeirError } from '#runtime/base/errors'
import { subtaskKey, type FromJobManager, type SubtaskPlace, type SubtaskRef } from '#runtime/contract/rpc'
import type { RegisteredTaskManager } from './task-manager-registry.ts'

const COMMIT_LIMIT_MS = 60_000

interface CommitWaiter {
  readonly checkpointId: number
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** One execution of the job between restarts: where its subtasks are, and how far each has got. */
export class Attempt {
  readonly id: string
  readonly places: readonly SubtaskPlace[]
  readonly taskManagers: ReadonlyMap<string, RegisteredTaskManager>
  readonly #deployed = new Set<string>()
  readonly #finished = new Set<string>()
  readonly #committed = new Map<string, number>()
  #waiters: CommitWaiter[] = []
  isStarted = false

  /** `available` may hold more TaskManagers than the places name. */
  constructor(id: string, places: readonly SubtaskPlace[], available: readonly RegisteredTaskManager[]) {
    const used = new Set(places.map((p) => p.taskManager))
    this.id = id
    this.places = places
    this.taskManagers = new Map(available.filter((t) => used.has(t.id)).map((t) => [t.id, t]))
  }

  get dataAddresses(): Record<string, string> {
    return Object.fromEntries([...this.taskManagers.values()].map((t) => [t.id, t.dataAddress]))
  }

  get finished(): ReadonlySet<string> {
    return this.#finished
  }

  uses(taskManager: RegisteredTaskManager): boolean {
    return this.taskManagers.get(taskManager.id) === taskManager
  }

  send(message: FromJobManager): void {
    for (const taskManager of this.taskManagers.values()) taskManager.send(message)
  }

  /** True once every TaskManager is deployed. */
  deployed(taskManager: RegisteredTaskManager): boolean {
    this.#deployed.add(taskManager.id)
    return this.#deployed.size === this.taskManagers.size
  }

  get notDeployed(): string[] {
    return [...this.taskManagers.keys()].filter((id) => !this.#deployed.has(id))
  }

  /** True once every subtask has seen the end of its data. */
  subtaskFinished(subtask: SubtaskRef): boolean {
    this.#finished.add(subtaskKey(subtask))
    return this.#finished.size === this.places.length
  }

  subtaskCommitted(subtask: SubtaskRef, checkpointId: number): void {
    this.#committed.set(subtaskKey(subtask), checkpointId)
    const upTo = Math.min(...this.places.map((p) => this.#committed.get(subtaskKey(p)) ?? 0))
    for (const waiter of this.#waiters) if (waiter.checkpointId <= upTo) waiter.resolve()
    this.#waiters = this.#waiters.filter((w) => w.checkpointId > upTo)
  }

  /**
   * Resolves when the sinks of every subtask have committed the checkpoint. @throws {WeirError}
   * DEADLINE naming who has not; NET_LOST when the attempt ends before.
   */
  async committed(checkpointId: number, clock: Clock): Promise<void> {
    const missing = () =>
      this.places.map(subtaskKey).filter((key) => (this.#committed.get(key) ?? 0) < checkpointId)
    if (missing().length === 0) return
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#waiters.push({ checkpointId, resolve, reject })
    const limit = clock.after(COMMIT_LIMIT_MS, () =>
      reject(
        new WeirError(
          'DEADLINE',
          `Sinks did not commit checkpoint ${checkpointId} within ${COMMIT_LIMIT_MS} ms: ${missing().join(', ')}`,
        ),
      ),
    )
    try {
      await promise
    } finally {
      limit.cancel()
    }
  }

  /** Nobody waits for this attempt any longer. */
  end(why: string): void {
    for (const waiter of this.#waiters.splice(0))
      waiter.reject(
        new WeirError('NET_LOST', `Attempt ${this.id} ended before its sinks had committed: ${why}`),
      )
  }
}
