import { BarrierAligner } from '#runtime/task/barrier-aligner'
import type { StateFile } from '#runtime/contract/checkpoint-records'
import type { Barrier, SubtaskRef } from '#runtime/contract/rpc'
import type { ExternalSystem } from './external-system.ts'
import { IncrementalState, type Entries } from './incremental-state.ts'
import type { OutputRow } from './job.ts'
import type { World } from './world.ts'

const KEYS = 7

export type Element =
  | { readonly kind: 'record'; readonly row: OutputRow }
  | { readonly kind: 'barrier'; readonly barrier: Barrier }

/** What a subtask may do to the outside. */
export interface SubtaskContext {
  readonly world: World
  readonly attempt: string
  readonly external: ExternalSystem
  send(to: SubtaskRef, from: SubtaskRef, element: Element): void
  /** Stores the file (unless it has bytes inline) and acknowledges. */
  acknowledge(
    of: SubtaskRef,
    barrier: Barrier,
    chain: readonly StateFile[],
    upload: { readonly key: string; readonly bytes: Uint8Array } | undefined,
  ): void
  committed(of: SubtaskRef, checkpointId: number): void
  fileKey(barrier: Barrier, of: SubtaskRef): string
}

export abstract class Subtask {
  readonly ref: SubtaskRef
  readonly context: SubtaskContext
  readonly #state = new IncrementalState()

  constructor(ref: SubtaskRef, context: SubtaskContext) {
    this.ref = ref
    this.context = context
  }

  restore(id: number, chain: readonly StateFile[], entries: Entries): void {
    this.#state.restore(id, chain, entries)
    this.load(entries, id)
  }
  protected abstract load(entries: Entries, id: number): void
  protected abstract entries(): Entries
  onElement(_from: number, _element: Element): void {}
  onComplete(_checkpointId: number): void {}
  onAbort(_epoch: number, _checkpointId: number): void {}

  protected forward(vertex: string, barrier: Barrier): void {
    for (const subtask of [0, 1])
      this.context.send({ vertex, subtask }, this.ref, { kind: 'barrier', barrier })
  }

  protected snapshot(barrier: Barrier): void {
    const { world } = this.context
    const key = this.context.fileKey(barrier, this.ref)
    const { chain, upload } = this.#state.snapshot(
      barrier,
      key,
      this.entries(),
      world.is('reuse-outside-base'),
    )
    this.context.acknowledge(this.ref, barrier, chain, upload)
  }
}

export class SourceSubtask extends Subtask {
  readonly #count: number
  #offset = 0
  #newest: { epoch: number; id: number } = { epoch: 0, id: 0 }

  constructor(ref: SubtaskRef, context: SubtaskContext, count: number) {
    super(ref, context)
    this.#count = count
  }

  get done(): boolean {
    return this.#offset >= this.#count
  }

  emit(): void {
    if (this.done) return
    const { subtask } = this.ref
    const offset = this.#offset++
    const key = (offset * 5 + subtask * 3) % KEYS
    this.context.send({ vertex: 'count', subtask: key % 2 }, this.ref, {
      kind: 'record',
      row: { source: subtask, offset, key: `k${key}`, n: 0 },
    })
  }

  trigger(barrier: Barrier): void {
    if (
      barrier.epoch < this.#newest.epoch ||
      (barrier.epoch === this.#newest.epoch && barrier.id <= this.#newest.id)
    )
      return
    this.#newest = barrier
    this.forward('count', barrier)
    if (this.context.world.is('snapshot-after-records')) this.emit()
    this.snapshot(barrier)
  }

  protected override load(entries: Entries): void {
    this.#offset = (entries.offset as number | undefined) ?? 0
  }
  protected override entries(): Entries {
    return { offset: this.#offset }
  }
}

/** A subtask with two input channels; elements wait in their channel while it is blocked. */
abstract class AlignedSubtask extends Subtask {
  readonly #aligner = new BarrierAligner<Barrier>(2)
  readonly #channels: [Element[], Element[]] = [[], []]
  readonly #seen = new Set<string>()

  protected abstract onRow(row: OutputRow): void
  protected abstract onAligned(barrier: Barrier): void

  override onElement(from: number, element: Element): void {
    this.#channels[from as 0 | 1].push(element)
    this.#drain()
  }

  override onAbort(epoch: number, id: number): void {
    this.#aligner.onAbort(this.#named({ epoch, id } as Barrier))
    this.#drain()
  }

  #drain(): void {
    for (let moved = true; moved;) {
      moved = false
      for (const channel of [0, 1] as const) {
        const queue = this.#channels[channel]
        while (queue.length > 0 && !this.#aligner.isBlocked(channel)) {
          moved = true
          this.#take(channel, queue.shift() as Element)
        }
      }
    }
  }

  #take(channel: number, element: Element): void {
    if (element.kind === 'record') return this.onRow(element.row)
    if (this.context.world.is('no-alignment')) {
      const name = `${element.barrier.epoch}/${element.barrier.id}`
      if (!this.#seen.has(name)) this.onAligned(element.barrier)
      this.#seen.add(name)
      return
    }
    const alignment = this.#aligner.onBarrier(channel, this.#named(element.barrier))
    if (alignment.outcome === 'aligned') this.onAligned(element.barrier)
  }

  #named(barrier: Barrier): Barrier {
    return this.context.world.is('barrier-by-id-alone') ? { ...barrier, epoch: 1 } : barrier
  }
}

export class CountSubtask extends AlignedSubtask {
  readonly #counts = new Map<string, number>()

  protected override onRow(row: OutputRow): void {
    const n = (this.#counts.get(row.key) ?? 0) + 1
    this.#counts.set(row.key, n)
    this.context.send({ vertex: 'sink', subtask: row.offset % 2 }, this.ref, {
      kind: 'record',
      row: { ...row, n },
    })
  }
  protected override onAligned(barrier: Barrier): void {
    this.forward('sink', barrier)
    this.snapshot(barrier)
  }
  protected override load(entries: Entries): void {
    for (const [key, n] of Object.entries(entries)) this.#counts.set(key, n as number)
  }
  protected override entries(): Entries {
    return Object.fromEntries(this.#counts)
  }
}

interface Transaction {
  readonly name: string
  readonly id: number
}

export class SinkSubtask extends AlignedSubtask {
  #rows: OutputRow[] = []
  #pending: Transaction[] = []

  protected override onRow(row: OutputRow): void {
    this.#rows.push(row)
  }

  protected override onAligned(barrier: Barrier): void {
    const { external, attempt } = this.context
    const name = `${this.ref.subtask}-${attempt}-${barrier.epoch}-${barrier.id}`
    external.prepare(name, this.ref.subtask, attempt, this.#rows)
    this.#pending.push({ name, id: barrier.id })
    this.#rows = []
    this.snapshot(barrier)
  }

  override onComplete(checkpointId: number): void {
    for (const transaction of this.#pending)
      if (transaction.id <= checkpointId) this.context.external.commit(transaction.name, checkpointId)
    this.#pending = this.#pending.filter((transaction) => transaction.id > checkpointId)
    this.context.committed(this.ref, checkpointId)
  }

  override onAbort(epoch: number, id: number): void {
    super.onAbort(epoch, id)
    if (!this.context.world.is('rollback-on-abort') && !this.context.world.is('expire-after-append')) return
    for (const transaction of this.#pending)
      if (transaction.id === id) this.context.external.rollBack(transaction.name)
    this.#pending = this.#pending.filter((transaction) => transaction.id !== id)
  }

  protected override load(entries: Entries, id: number): void {
    const { external, attempt } = this.context
    // All of them were prepared before the cut, whatever id an earlier leader gave them.
    for (const name of Object.keys(entries)) external.commit(name, id)
    external.rollBackOthers(this.ref.subtask, attempt)
  }
  protected override entries(): Entries {
    if (this.context.world.is('forget-prepared')) return {}
    return Object.fromEntries(this.#pending.map((transaction) => [transaction.name, transaction.id]))
  }
}
