import type { Clock, Timer } from '#runtime/base/clock'
import type { ErrorData } from '#runtime/base/errors'
import type {
  SubtaskMetrics,
  DeployProgress,
  ExecutionReport,
  FromJobManager,
  FromTaskManager,
} from '#runtime/contract/rpc'
import { VERSION, WIRE_VERSION } from '#runtime/contract/version'
import { decodeFromJobManager, sendMessage } from '#runtime/net/messages'
import type { Connection, Transport } from '#runtime/net/transport'

export const TOKEN = 'a-token-for-tests-only'

export interface ScriptedTaskManagerOptions {
  readonly id: string
  readonly slots: number
  readonly jobUid: string
  readonly run: number
  readonly transport: Transport
  readonly clock: Clock
}

type Command<T extends FromJobManager['type']> = Extract<FromJobManager, { type: T }>

const HEARTBEAT_MS = 500

/**
 * A TaskManager that speaks the real protocol over a real connection and runs nothing: a test
 * decides what becomes of its tasks. What `does` allows it answers by itself.
 */
export class ScriptedTaskManager {
  readonly id: string
  readonly does = { deploy: true, ack: true, commit: true, heartbeat: true, adopt: true }
  readonly received: FromJobManager[] = []
  execution: ExecutionReport | undefined
  progress: DeployProgress | undefined
  /** What the next heartbeats say of its tasks. */
  subtasks: readonly SubtaskMetrics[] = []
  readonly #options: ScriptedTaskManagerOptions
  readonly #connections = new Map<string, Connection>()
  #owner: Connection | undefined
  #epoch = 0
  #heartbeat: Timer | undefined

  constructor(options: ScriptedTaskManagerOptions) {
    this.id = options.id
    this.#options = options
  }

  connect(address: string): void {
    const { transport } = this.#options
    const connection = transport.connect(address, {
      onOpen: () => sendMessage(connection, this.#hello()),
      onFrame: (frame) => this.#handle(connection, decodeFromJobManager(frame)),
      onClose: () => this.#connections.delete(address),
    })
    this.#connections.set(address, connection)
    if (this.#heartbeat === undefined) this.#beat()
  }

  get isConnected(): boolean {
    return this.#connections.size > 0
  }

  /** Its connections close; its tasks run on. */
  disconnect(): void {
    for (const connection of this.#connections.values()) connection.destroy()
    this.#heartbeat?.cancel()
    this.#heartbeat = undefined
  }

  /** The process is gone, with its tasks. */
  die(): void {
    this.disconnect()
    this.execution = undefined
  }

  /** To whoever owns its attempt. */
  say(message: FromTaskManager): void {
    if (this.#owner !== undefined) sendMessage(this.#owner, message)
  }

  broadcast(message: FromTaskManager): void {
    for (const connection of this.#connections.values()) sendMessage(connection, message)
  }

  sayDeployed(): void {
    this.say({ type: 'deployed', attempt: this.attempt, restoreMs: 1 })
  }

  sayFailed(error: ErrorData): void {
    this.say({ type: 'failed', attempt: this.attempt, subtask: undefined, error })
  }

  /** All its sources have come to their end. */
  sayFinished(): void {
    const { attempt } = this
    for (const { vertex, subtask } of this.#places)
      this.say({ type: 'finished', attempt, subtask: { vertex, subtask } })
  }

  ack({ attempt, barrier }: Command<'trigger'>): void {
    const { epoch, id: checkpointId } = barrier
    for (const { vertex, subtask } of this.#places)
      this.say({
        type: 'ack',
        ack: {
          ...{ vertex, subtask, attempt, epoch, checkpointId, uids: [vertex], states: [] },
          state: { subtask, keyGroups: [0, 128], chain: [] },
          ...{ sizeBytes: 0, deltaBytes: 0, alignmentMs: 0, syncMs: 0, asyncMs: 0, uploadMs: 0 },
        },
      })
  }

  commit(checkpointId: number): void {
    const { attempt } = this
    for (const { vertex, subtask } of this.#places)
      this.say({ type: 'committed', attempt, subtask: { vertex, subtask }, checkpointId })
  }

  last<T extends FromJobManager['type']>(type: T): Command<T> | undefined {
    return this.received.findLast((m): m is Command<T> => m.type === type)
  }

  count(type: FromJobManager['type']): number {
    return this.received.filter((m) => m.type === type).length
  }

  get attempt(): string {
    return this.execution?.attempt ?? '0.0'
  }

  get #places() {
    return this.execution?.places ?? []
  }

  #hello(): FromTaskManager {
    const { id, slots, jobUid, run } = this.#options
    const about = { id, slots, jobUid, run, dataAddress: `${id}:1` }
    return { type: 'hello', wire: WIRE_VERSION, version: VERSION, token: TOKEN, ...about }
  }

  #beat(): void {
    this.#heartbeat = this.#options.clock.after(HEARTBEAT_MS, () => {
      this.sayHeartbeat()
      this.#beat()
    })
  }

  sayHeartbeat(): void {
    const { attempt, state } = this.execution ?? {}
    const progress = state === 'Deploying' ? this.progress : undefined
    if (this.does.heartbeat)
      this.broadcast({
        type: 'heartbeat',
        freeSlots: 0,
        attempt,
        progress,
        subtasks: this.subtasks,
        standstills: [],
      })
  }

  #handle(from: Connection, message: FromJobManager): void {
    this.received.push(message)
    if (message.epoch < this.#epoch && message.type !== 'welcome')
      return sendMessage(from, { type: 'fenced', epoch: this.#epoch })
    this.#epoch = Math.max(this.#epoch, message.epoch)
    if (message.type === 'welcome') return message.leader ? this.#report(from, message.epoch) : undefined
    if (message.type === 'deploy') return this.#deploy(from, message)
    const { execution } = this
    if (message.type === 'adopt') return this.#adopt(from, message)
    if (execution?.attempt === message.attempt) this.#command(execution, message)
  }

  #report(to: Connection, epoch: number): void {
    if (this.does.adopt) sendMessage(to, { type: 'execution', epoch, report: this.execution })
  }

  #deploy(from: Connection, { deployment }: Command<'deploy'>): void {
    const { attempt, planHash, places } = deployment
    this.#owner = from
    const own = places.filter((p) => p.taskManager === this.id)
    this.execution = { attempt, planHash, places: own, state: 'Deploying', highestCheckpointId: 0 }
    if (this.does.deploy) this.sayDeployed()
  }

  #adopt(from: Connection, { attempt, epoch }: Command<'adopt'>): void {
    if (this.execution?.attempt === attempt) this.#owner = from
    this.#report(from, epoch)
  }

  #command(
    execution: ExecutionReport,
    message: Exclude<FromJobManager, { type: 'welcome' | 'deploy' }>,
  ): void {
    if (message.type === 'cancel') this.execution = undefined
    if (message.type === 'start') this.execution = { ...execution, state: 'Running' }
    if (message.type === 'trigger') {
      const { id: highestCheckpointId, stop } = message.barrier
      this.execution = { ...execution, state: stop ? 'Stopped' : 'Running', highestCheckpointId }
      if (this.does.ack) this.ack(message)
    }
    if (message.type === 'complete' && this.does.commit) this.commit(message.permit.checkpointId)
  }
}
