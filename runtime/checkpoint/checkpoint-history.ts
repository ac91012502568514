import type {
  CheckpointDetails,
  CheckpointView,
  CheckpointsView,
  SubtaskCheckpointView,
} from '#runtime/contract/rest'
import type { SubtaskAck } from '#runtime/contract/rpc'
import type { CheckpointInFlight } from './checkpoint-stages.ts'
import type { FailureReason } from '#runtime/contract/failure-reasons'
import type { CompletedCheckpoint } from '#runtime/commit-log/log-state'
import type { CheckpointId } from '#runtime/contract/ids'

const KEPT = 100
/** What is shown of a subtask that has not acknowledged. */
const NOTHING = { alignmentMs: 0, syncMs: 0, asyncMs: 0, uploadMs: 0, sizeBytes: 0 }

/**
 * What a person wants to know of one checkpoint, filled in while it runs. Times are wall clock
 * except `startedMs` (monotonic).
 */
export class CheckpointEntry {
  readonly checkpoint: CheckpointInFlight
  readonly triggeredAt: number
  readonly startedMs: number
  readonly acks = new Map<string, { readonly ack: SubtaskAck; readonly at: number }>()
  readonly subtasks: readonly string[]
  #externalPath: string | undefined
  #status: CheckpointView['status'] = 'IN_PROGRESS'
  #durationMs: number | undefined
  #failure: { readonly reason: FailureReason; readonly message: string } | undefined
  readonly #monotonic: () => number

  constructor(
    checkpoint: CheckpointInFlight,
    subtasks: readonly string[],
    clock: { now(): number; monotonic(): number },
  ) {
    this.checkpoint = checkpoint
    this.subtasks = subtasks
    this.triggeredAt = clock.now()
    this.startedMs = clock.monotonic()
    this.#monotonic = () => clock.monotonic()
  }

  get durationMs(): number {
    return this.#durationMs ?? this.#monotonic() - this.startedMs
  }

  /** `path`: URL of the directory that holds its manifest. */
  complete(path: string): void {
    this.#durationMs = this.durationMs
    this.#externalPath = path
    this.#status = 'COMPLETED'
  }

  fail(reason: FailureReason, message: string): void {
    this.#durationMs = this.durationMs
    this.#status = 'FAILED'
    this.#failure = { reason, message }
  }

  /** The longest time that any subtask took for a phase. */
  longest(of: 'alignmentMs' | 'syncMs' | 'asyncMs' | 'uploadMs'): number {
    let most = 0
    for (const { ack } of this.acks.values()) most = Math.max(most, ack[of])
    return most
  }

  details(): CheckpointDetails {
    const acks = [...this.acks.values()]
    return {
      id: this.checkpoint.id,
      status: this.#status,
      is_savepoint: this.checkpoint.kind === 'savepoint',
      trigger_timestamp: this.triggeredAt,
      latest_ack_timestamp: acks.length === 0 ? undefined : Math.max(...acks.map((a) => a.at)),
      state_size: acks.reduce((sum, { ack }) => sum + ack.sizeBytes, 0),
      delta_size: acks.reduce((sum, { ack }) => sum + ack.deltaBytes, 0),
      end_to_end_duration: this.durationMs,
      num_subtasks: this.subtasks.length,
      num_acknowledged_subtasks: this.acks.size,
      external_path: this.#externalPath,
      failure_reason: this.#failure?.reason,
      failure_message: this.#failure?.message,
      subtasks: this.subtasks.map((key) => this.#subtask(key)),
    }
  }

  #subtask(key: string): SubtaskCheckpointView {
    const slash = key.lastIndexOf('/')
    const acked = this.acks.get(key)
    const { alignmentMs, syncMs, asyncMs, uploadMs, sizeBytes } = acked?.ack ?? NOTHING
    return {
      vertex: key.slice(0, slash),
      subtask: Number(key.slice(slash + 1)),
      ack_timestamp: acked?.at,
      alignment_ms: alignmentMs,
      sync_ms: syncMs,
      async_ms: asyncMs,
      upload_ms: uploadMs,
      state_size: sizeBytes,
    }
  }
}

export interface CheckpointFailure {
  readonly id: CheckpointId
  readonly at: number
  readonly reason: FailureReason
  readonly message: string
}

/** Newest first, at most 100; begins with what the log knows of earlier leaders' checkpoints. */
export class CheckpointHistory {
  #entries: (() => CheckpointDetails)[]
  #completed: number
  #failed = 0
  #total: number
  #restored = 0
  #consecutiveFailures = 0
  #lastFailure: CheckpointFailure | undefined

  constructor(
    logged: readonly CompletedCheckpoint[],
    externalPath: (checkpoint: CompletedCheckpoint) => string,
  ) {
    this.#entries = logged.toReversed().map((checkpoint) => {
      const details = fromLog(checkpoint, externalPath(checkpoint))
      return () => details
    })
    this.#completed = logged.length
    this.#total = logged.length
  }

  add(entry: CheckpointEntry): void {
    this.#total++
    this.#entries = [() => entry.details(), ...this.#entries].slice(0, KEPT)
  }

  /** Failures of the attempt before say nothing about this one. */
  attemptStarted(isRestored: boolean): void {
    this.#consecutiveFailures = 0
    if (isRestored) this.#restored++
  }

  countCompleted(): void {
    this.#completed++
    this.#consecutiveFailures = 0
  }

  /** `counts`: towards the failures in a row that are tolerated. */
  countFailed(failure: CheckpointFailure, counts: boolean): void {
    this.#failed++
    this.#lastFailure = failure
    if (counts) this.#consecutiveFailures++
  }

  get consecutiveFailures(): number {
    return this.#consecutiveFailures
  }
  get lastFailure(): CheckpointFailure | undefined {
    return this.#lastFailure
  }

  get list(): CheckpointDetails[] {
    return this.#entries.map((details) => details())
  }

  find(id: CheckpointId): CheckpointDetails | undefined {
    return this.list.find((details) => details.id === id)
  }

  get counts(): CheckpointsView['counts'] {
    return {
      restored: this.#restored,
      total: this.#total,
      in_progress: this.#total - this.#completed - this.#failed,
      completed: this.#completed,
      failed: this.#failed,
    }
  }
}

function fromLog(checkpoint: CompletedCheckpoint, externalPath: string): CheckpointDetails {
  const durationMs = checkpoint.stats.durationMs ?? 0
  const subtasks = checkpoint.stats.subtasks ?? 0
  return {
    id: checkpoint.id,
    status: 'COMPLETED',
    is_savepoint: false,
    trigger_timestamp: checkpoint.at - durationMs,
    latest_ack_timestamp: undefined,
    state_size: checkpoint.sizeBytes,
    delta_size: checkpoint.deltaBytes,
    end_to_end_duration: durationMs,
    num_subtasks: subtasks,
    num_acknowledged_subtasks: subtasks,
    external_path: externalPath,
    failure_reason: undefined,
    failure_message: undefined,
    subtasks: [],
  }
}
