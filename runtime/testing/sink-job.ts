import { retrying } from '#runtime/base/backoff'
import type { Sink } from '#runtime/connectors/sink'
import type { Lineage } from '#runtime/contract/checkpoint-records'
import { SinkOperator } from '#runtime/operators/sink'
import type { ConnectorAccess } from '#runtime/storage/connector-access'
import { OperatorHarness, type HarnessState } from './operator-harness.ts'
import { hurriedClock, SteppedAccess, type Interference } from './port-steps.ts'

/** A completed checkpoint or savepoint of a job. */
export interface Point {
  readonly id: number
  readonly attempt: string
  readonly states: readonly HarnessState[]
  /** Records that the source had given by then. */
  readonly position: number
}

export interface SinkJobOptions {
  readonly sink: () => Sink<any>
  readonly access: ConnectorAccess
  readonly uid?: string
  /** Record number n. Default: 2 ** n, so that a sum shows what was summed. */
  readonly record?: (n: number) => unknown
  /** Between any two steps of the sink towards the outside. */
  readonly interfere?: Interference
}

export interface StartOptions {
  readonly parallelism?: number
  /** Default: the job's newest checkpoint. */
  readonly from?: Point
  /** What `from` is to this job. Default: succession. */
  readonly lineage?: Lineage
}

const BEGINNING: Omit<Point, 'attempt'> = { id: 0, position: 0, states: [] }

/**
 * A source of numbers and a sink, with all that a job's log decides about the sink: the real
 * operator in as many subtasks as are asked for, snapshots that may be completed or not, permits
 * that are repeated until they are honoured, attempts that end as a killed process does.
 */
export class SinkJob {
  readonly uid: string
  readonly savepoints: Point[] = []
  readonly #options: SinkJobOptions
  #checkpoint: Point | undefined
  #committedUpTo = 0
  #attempts = 0
  #highestId = 0
  #position = 0
  #access: SteppedAccess | undefined
  #subtasks: OperatorHarness<unknown>[] = []

  constructor(options: SinkJobOptions) {
    this.#options = options
    this.uid = options.uid ?? 'job-a'
  }

  /** Records given to the sink so far, as the newest attempt counts. */
  get position(): number {
    return this.#position
  }

  /** Deploys an attempt. */
  async start(options: StartOptions = {}): Promise<void> {
    const { parallelism = 1, from = this.#checkpoint, lineage = 'succession' } = options
    const { sink, access, interfere = () => undefined } = this.#options
    const { id, position, states } = from ?? BEGINNING
    this.#access = new SteppedAccess(access, interfere)
    this.#subtasks = []
    this.#position = position
    this.#highestId = Math.max(this.#highestId, id)
    const attempt = {
      create: () => new SinkOperator<unknown, unknown>(sink()),
      uid: 'out',
      jobUid: this.uid,
      attempt: `${++this.#attempts}.1`,
      parallelism,
      lineage,
      clock: hurriedClock(),
      access: this.#access,
      sinks: {
        committedUpTo: this.#committedUpTo,
        savepoints: this.savepoints.map((savepoint) => ({ id: savepoint.id, attempt: savepoint.attempt })),
      },
    }
    for (let subtask = 0; subtask < parallelism; subtask++)
      this.#subtasks.push(await OperatorHarness.open<unknown, never>({ ...attempt, subtask }, states))
  }

  /** The next records of the source, dealt out to the subtasks. */
  send(count = this.#subtasks.length): void {
    const { record = (n) => 2 ** n } = this.#options
    for (let i = 0; i < count; i++) {
      const subtask = this.#subtasks[this.#position % this.#subtasks.length] as OperatorHarness<unknown>
      subtask.send(record(this.#position++))
    }
  }

  /** Everybody has prepared; nothing is in the log yet, and perhaps never will be. */
  async barrier(): Promise<Point> {
    const [id, attempt, position] = [++this.#highestId, `${this.#attempts}.1`, this.#position]
    const states: HarnessState[] = []
    for (const subtask of this.#subtasks) states.push(await subtask.snapshot(id))
    for (const { failures } of this.#subtasks) if (failures.length > 0) throw failures[0]
    return { id, attempt, states, position }
  }

  /** A checkpoint is in the log, its transactions are not committed yet. */
  async log(): Promise<Point> {
    return (this.#checkpoint = await this.barrier())
  }

  /** The permit of the newest checkpoint, as often as it takes. */
  async permit(checkpointId = this.#checkpoint?.id ?? 0): Promise<void> {
    const clock = hurriedClock()
    for (const subtask of this.#subtasks)
      await retrying(() => subtask.complete(checkpointId), {
        what: 'commit',
        limitMs: 60_000,
        clock,
        random: () => 0.5,
        initialMs: 50,
        maxMs: 2000,
        multiplier: 2,
        jitter: 0,
      })
  }

  async checkpoint(): Promise<Point> {
    const point = await this.log()
    await this.permit()
    return point
  }

  async savepoint(): Promise<Point> {
    const point = await this.barrier()
    this.savepoints.push(point)
    return point
  }

  /** The attempt ends as a killed process does. */
  async kill(): Promise<void> {
    await this.#access?.release()
  }

  /** The run ends with a checkpoint, which every sink has committed. */
  async stop(): Promise<void> {
    const { id } = await this.checkpoint()
    this.#committedUpTo = id
    for (const subtask of this.#subtasks) await subtask.close()
  }
}
