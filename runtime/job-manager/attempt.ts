import type { CheckpointId } from '#runtime/contract/ids'
import { subtaskKey, type ExecutionReport, type SubtaskPlace, type SubtaskRef } from '#runtime/contract/rpc'

/** A TaskManager as the job sees it: one connection. After a reconnect it is another member. */
export interface Member {
  /** Unique for the connection. */
  readonly key: string
  readonly id: string
  readonly slots: number
  readonly dataAddress: string
  /** It said that it is going away: nothing new is placed on it. */
  readonly leaving: boolean
}

/** One execution of the job between restarts: where its subtasks are, and how far each has got. */
export interface Attempt {
  readonly id: string
  readonly places: readonly SubtaskPlace[]
  /** Keys of the members that it runs on, by the TaskManager's id. */
  readonly members: ReadonlyMap<string, string>
  readonly finished: ReadonlySet<string>
  readonly committed: ReadonlyMap<string, number>
}

/** `available` may hold more TaskManagers than the places name. */
export function newAttempt(
  id: string,
  places: readonly SubtaskPlace[],
  available: readonly Member[],
): Attempt {
  const used = new Set(places.map((p) => p.taskManager))
  const members = new Map(available.filter((m) => used.has(m.id)).map((m) => [m.id, m.key]))
  return { id, places, members, finished: new Set(), committed: new Map() }
}

export function uses(attempt: Attempt, memberKey: string): boolean {
  for (const key of attempt.members.values()) if (key === memberKey) return true
  return false
}

export function withFinished(attempt: Attempt, subtask: SubtaskRef): Attempt {
  return { ...attempt, finished: new Set(attempt.finished).add(subtaskKey(subtask)) }
}

/** Every subtask has seen the end of its data. */
export const hasFinished = (attempt: Attempt): boolean => attempt.finished.size === attempt.places.length

export function withCommitted(attempt: Attempt, subtask: SubtaskRef, checkpointId: CheckpointId): Attempt {
  const key = subtaskKey(subtask)
  const upTo = Math.max(checkpointId, attempt.committed.get(key) ?? 0)
  return { ...attempt, committed: new Map(attempt.committed).set(key, upTo) }
}

/** Subtasks that have not said that they committed the checkpoint. */
export function uncommitted(attempt: Attempt, checkpointId: CheckpointId): string[] {
  return attempt.places.map(subtaskKey).filter((key) => (attempt.committed.get(key) ?? 0) < checkpointId)
}

/** What a member says that it runs; undefined: nothing. */
export type Answer = ExecutionReport | undefined
