import { messageOf, toErrorData, WeirError } from '#runtime/base/errors'
import { readManifest } from '#runtime/commit-log/manifest-io'
import type { RestorePoint, StateFile } from '#runtime/contract/checkpoint-records'
import { subtaskKey, type Barrier, type SubtaskRef } from '#runtime/contract/rpc'
import { createExact } from '#runtime/storage/create-exact'
import { stateFileKey } from '#runtime/storage/paths'
import { JOB_VERTICES } from './job.ts'
import type { DataMessage, FromJobManager, FromTaskManager } from './messages.ts'
import { entriesOf } from './incremental-state.ts'
import type { SimStore } from './sim-store.ts'
import type { Surroundings } from './surroundings.ts'
import {
  CountSubtask,
  SinkSubtask,
  SourceSubtask,
  type Element,
  type Subtask,
  type SubtaskContext,
} from './subtasks.ts'
import type { Process, SimNode } from './world.ts'

const EMIT_EVERY_MS = 9
const UPLOAD_LIMIT_MS = 2000

/** The subtasks of one attempt in one TaskManager. */
interface Execution {
  readonly attempt: string
  readonly places: Readonly<Record<string, string>>
  readonly subtasks: ReadonlyMap<string, Subtask>
  started: boolean
  failed: boolean
}

/**
 * A TaskManager: runs subtasks, obeys the leader of the highest epoch it has seen, stores the state
 * of its subtasks itself.
 */
export class SimTaskManager implements Process {
  readonly #around: Surroundings
  readonly #node: SimNode
  readonly #store: SimStore
  readonly #connected = new Set<SimNode>()
  #epoch = 0
  #leader: SimNode | undefined
  #execution: Execution | undefined
  #highestId = 0

  constructor(around: Surroundings, node: SimNode) {
    this.#around = around
    this.#node = node
    this.#store = around.storeOf(node)
  }

  onConnected(peer: SimNode): void {
    this.#connected.add(peer)
    if (this.#around.isJobManager(peer)) this.#tell(peer, this.#report(0))
  }

  onLost(peer: SimNode): void {
    this.#connected.delete(peer)
    const execution = this.#execution
    if (execution !== undefined && Object.values(execution.places).includes(peer.name))
      this.#fail(execution, `connection to ${peer.name} lost`)
  }

  onMessage(peer: SimNode, message: unknown): void {
    if (!this.#around.isJobManager(peer)) return this.#onData(message as DataMessage)
    const command = message as FromJobManager
    if (command.epoch < this.#epoch) return this.#tell(peer, { type: 'fenced', epoch: this.#epoch })
    this.#epoch = command.epoch
    this.#leader = peer
    this.#obey(command)
  }

  #obey(command: FromJobManager): void {
    if (command.type === 'lead') return this.#tellLeader(this.#report(command.epoch))
    if (command.type === 'cancel') {
      this.#execution = undefined
      return
    }
    if (command.type === 'deploy') return void this.#deploy(command.attempt, command.places, command.restore)
    const execution = this.#execution
    if (execution === undefined || execution.attempt !== command.attempt || execution.failed) return
    switch (command.type) {
      case 'start':
        execution.started = true
        for (const subtask of execution.subtasks.values()) {
          this.#around.oracle.onStarted(
            execution.attempt,
            subtaskKey(subtask.ref),
            `${this.#node.name}#${this.#node.life}`,
          )
          if (subtask instanceof SourceSubtask) this.#emit(execution, subtask)
        }
        return
      case 'trigger':
        this.#highestId = Math.max(this.#highestId, command.barrier.id)
        for (const subtask of execution.subtasks.values())
          if (subtask instanceof SourceSubtask) subtask.trigger(command.barrier)
        return
      case 'complete':
        for (const subtask of execution.subtasks.values()) subtask.onComplete(command.permit.checkpointId)
        return
      case 'abort':
        for (const subtask of execution.subtasks.values()) subtask.onAbort(command.epoch, command.id)
    }
  }

  #report(epoch: number): FromTaskManager {
    const execution = this.#execution
    const running = execution !== undefined && execution.started && !execution.failed
    const finished = [...(execution?.subtasks.values() ?? [])].flatMap((s) =>
      s instanceof SourceSubtask && s.done ? s.ref.subtask : [],
    )
    return {
      type: 'report',
      epoch,
      attempt: execution?.attempt,
      running,
      highestId: this.#highestId,
      finished,
    }
  }

  async #deploy(
    attempt: string,
    places: Readonly<Record<string, string>>,
    restore: RestorePoint,
  ): Promise<void> {
    const own = JOB_VERTICES.flatMap((v) =>
      Array.from({ length: v.parallelism }, (_, subtask) => ({ vertex: v.id, subtask })),
    ).filter((ref) => places[subtaskKey(ref)] === this.#node.name)
    const context = this.#context(attempt)
    const execution: Execution = {
      attempt,
      places,
      subtasks: new Map(own.map((ref) => [subtaskKey(ref), this.#subtask(ref, context)])),
      started: false,
      failed: false,
    }
    this.#execution = execution
    this.#highestId = 0
    try {
      if (restore.kind === 'checkpoint') await this.#restore(execution, restore)
      if (this.#execution !== execution) return
      const unreachable = Object.values(places).find(
        (place) => place !== this.#node.name && !this.#connected.has(this.#around.node(place)),
      )
      if (unreachable === undefined) this.#tellLeader({ type: 'deployed', attempt })
      else this.#fail(execution, `no connection to ${unreachable}`)
    } catch (error) {
      if (error instanceof WeirError && error.code === 'STO_MISSING')
        this.#around.oracle.onMissingFile(messageOf(error))
      this.#fail(execution, messageOf(error))
    }
  }

  async #restore(execution: Execution, point: Extract<RestorePoint, { kind: 'checkpoint' }>): Promise<void> {
    const manifest = await readManifest(this.#store, point.manifest, point.sha256)
    for (const vertex of manifest.vertices) {
      for (const { subtask, chain } of vertex.subtasks) {
        const instance = execution.subtasks.get(`${vertex.vertex}/${subtask}`)
        if (instance === undefined) continue
        const files: Uint8Array[] = []
        for (const file of chain)
          files.push(
            file.inline === undefined
              ? await this.#store.get(file.key as string)
              : Buffer.from(file.inline, 'base64'),
          )
        if (this.#execution !== execution) return
        instance.restore(point.id, chain, entriesOf(files))
      }
    }
  }

  #subtask(ref: SubtaskRef, context: SubtaskContext): Subtask {
    if (ref.vertex === 'source')
      return new SourceSubtask(ref, context, this.#around.recordsPerSource[ref.subtask] as number)
    return ref.vertex === 'count' ? new CountSubtask(ref, context) : new SinkSubtask(ref, context)
  }

  #context(attempt: string): SubtaskContext {
    return {
      world: this.#node.world,
      attempt,
      external: this.#around.external,
      send: (to, from, element) => this.#send(attempt, to, from, element),
      acknowledge: (of, barrier, chain, upload) =>
        void this.#acknowledge(attempt, of, barrier, chain, upload),
      committed: (of, id) => this.#tellLeader({ type: 'committed', attempt, sink: of.subtask, id }),
      fileKey: (barrier, of) => stateFileKey(barrier.directory, of.vertex, of.subtask, attempt),
    }
  }

  #emit(execution: Execution, source: SourceSubtask): void {
    if (this.#execution !== execution || execution.failed) return
    if (source.done)
      return this.#tellLeader({ type: 'finished', attempt: execution.attempt, source: source.ref.subtask })
    source.emit()
    const { random } = this.#node.world
    this.#node.clock().after(EMIT_EVERY_MS * (0.5 + random.next()), () => this.#emit(execution, source))
  }

  #send(attempt: string, to: SubtaskRef, from: SubtaskRef, element: Element): void {
    const execution = this.#execution
    if (execution?.attempt !== attempt || execution.failed) return
    const message: DataMessage = { type: 'data', attempt, to, from, element }
    const place = execution.places[subtaskKey(to)] as string
    if (place === this.#node.name) this.#onData(message)
    else this.#around.network.send(this.#node, this.#around.node(place), message)
  }

  #onData({ attempt, to, from, element }: DataMessage): void {
    const execution = this.#execution
    if (execution === undefined || execution.attempt !== attempt || execution.failed) return
    if (element.kind === 'barrier') this.#highestId = Math.max(this.#highestId, element.barrier.id)
    execution.subtasks.get(subtaskKey(to))?.onElement(from.subtask, element)
  }

  async #acknowledge(
    attempt: string,
    of: SubtaskRef,
    barrier: Barrier,
    chain: readonly StateFile[],
    upload: { readonly key: string; readonly bytes: Uint8Array } | undefined,
  ): Promise<void> {
    const { world } = this.#node
    const fence = {
      attempt,
      epoch: barrier.epoch,
      checkpointId: barrier.id,
      vertex: of.vertex,
      subtask: of.subtask,
    }
    const clock = this.#node.clock()
    const last = chain.at(-1) as StateFile
    try {
      if (upload !== undefined && !world.is('ack-before-upload'))
        await createExact(this.#store, upload.key, upload.bytes, {
          clock,
          random: world.random.next,
          limitMs: UPLOAD_LIMIT_MS,
        })
      const state = { subtask: of.subtask, keyGroups: [0, 128] as [number, number], chain: [...chain] }
      const times = { alignmentMs: 0, syncMs: 0, asyncMs: 0, uploadMs: 0 }
      this.#tellLeader({
        type: 'ack',
        ack: {
          ...fence,
          uids: [of.vertex],
          state,
          sizeBytes: last.sizeBytes,
          deltaBytes: last.sizeBytes,
          ...times,
        },
      })
      if (upload !== undefined && world.is('ack-before-upload'))
        clock.after(30, () => void this.#store.create(upload.key, upload.bytes).catch(() => undefined))
    } catch (error) {
      this.#tellLeader({
        type: 'decline',
        decline: { ...fence, reason: 'CHECKPOINT_ASYNC_EXCEPTION', error: toErrorData(error) },
      })
    }
  }

  #fail(execution: Execution, why: string): void {
    if (execution.failed || this.#execution !== execution) return
    execution.failed = true
    this.#tellLeader({ type: 'failed', attempt: execution.attempt, why })
  }

  #tellLeader(message: FromTaskManager): void {
    if (this.#leader !== undefined) this.#tell(this.#leader, message)
  }

  #tell(peer: SimNode, message: FromTaskManager): void {
    if (this.#connected.has(peer)) this.#around.network.send(this.#node, peer, message)
  }
}
