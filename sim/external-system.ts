import type { Sink, SinkContext, SinkWriter } from '#runtime/connectors/sink'
import type { Clock } from '#runtime/base/clock'
import { WeirError } from '#runtime/base/errors'
import type { Row, SinkUid } from './job.ts'
import type { World } from './world.ts'

interface Transaction {
  readonly job: string
  readonly sink: string
  readonly attempt: string
  readonly rows: readonly Row[]
}

/** Rows that a sink made visible, and whose they are. */
export interface CommittedRows {
  readonly job: string
  readonly uid: SinkUid
  readonly rows: readonly Row[]
}

/**
 * A system with transactions that a sink of a user writes to: prepared under a name, then committed
 * or rolled back. Committing twice is harmless; what was rolled back is gone.
 */
export class ExternalSystem {
  readonly #world: World
  readonly #prepared = new Map<string, Transaction>()
  readonly #committed = new Set<string>()
  readonly visible: CommittedRows[] = []
  /** Fails every call until then. */
  troubledUntil = 0

  constructor(world: World) {
    this.#world = world
  }

  sink(uid: SinkUid): Sink<Row, { name: string }> {
    return {
      description: `external(${uid})`,
      guarantee: 'exactly-once',
      createWriter: (context) => new ExternalWriter(this, uid, context),
    }
  }

  /** One call of a process, on its clock: it may die or stand still before the answer comes. */
  call<T>(clock: Clock, effect: () => T): Promise<T> {
    const { clock: time, random, faulty } = this.#world
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    const isTroubled = this.troubledUntil > time.monotonic()
    const there = faulty && random.chance(0.05) ? random.between(20, 600) : 0.5 + random.next() * 3
    const isLost = faulty && random.chance(0.01)
    let settle = (): void => reject(new WeirError('STO_UNAVAILABLE', 'the external system does not answer'))
    time.after(there, () => {
      if (isTroubled) return
      try {
        const result = effect()
        if (!isLost) settle = () => resolve(result)
      } catch (error) {
        settle = () => reject(error as Error)
      }
    })
    clock.after(there + 0.5 + random.next() * 2, () => settle())
    return promise
  }

  prepare(name: string, transaction: Transaction): void {
    this.#prepared.set(name, transaction)
  }

  commit(uid: SinkUid, name: string): void {
    if (this.#committed.has(name)) return this.#world.coverage.reach('commit repeated')
    const transaction = this.#prepared.get(name)
    if (transaction === undefined)
      throw new WeirError('CKP_COMMIT_LOST', `Transaction ${name} does not exist: it was rolled back.`)
    this.#prepared.delete(name)
    this.#committed.add(name)
    this.visible.push({ job: transaction.job, uid, rows: transaction.rows })
  }

  /** Names of what a sink of a job has prepared and not committed. */
  preparedBy(job: string, sink: string): readonly { readonly name: string; readonly attempt: string }[] {
    return [...this.#prepared]
      .filter(([, t]) => t.job === job && t.sink === sink)
      .map(([name, { attempt }]) => ({ name, attempt }))
  }

  rollBack(name: string): void {
    this.#prepared.delete(name)
  }
}

class ExternalWriter implements SinkWriter<Row, { name: string }> {
  readonly #system: ExternalSystem
  readonly #uid: SinkUid
  readonly #context: SinkContext
  #rows: Row[] = []
  #after = 0

  constructor(system: ExternalSystem, uid: SinkUid, context: SinkContext) {
    this.#system = system
    this.#uid = uid
    this.#context = context
  }

  async recover(restored: readonly { name: string }[]): Promise<void> {
    if (this.#context.subtask !== 0) return
    const { job, attempt } = this.#context
    const kept = new Set(restored.map((r) => r.name))
    await this.#system.call(this.#context.clock, () => {
      for (const { name, attempt: of } of this.#system.preparedBy(job.uid, this.#uid))
        if (of !== attempt && !kept.has(name)) this.#system.rollBack(name)
    })
  }

  write(row: Row): void {
    this.#rows.push(row)
  }

  async prepare(checkpointId: number): Promise<{ name: string } | undefined> {
    const rows = this.#rows
    const begunAfter = this.#after
    this.#rows = []
    this.#after = checkpointId
    if (rows.length === 0) return undefined
    const { job, attempt, subtask } = this.#context
    const name = `${job.uid}/${this.#uid}/${attempt}/${subtask}/${begunAfter}`
    await this.#system.call(this.#context.clock, () =>
      this.#system.prepare(name, { job: job.uid, sink: this.#uid, attempt, rows }),
    )
    return { name }
  }

  commit({ name }: { name: string }): Promise<void> {
    return this.#system.call(this.#context.clock, () => this.#system.commit(this.#uid, name))
  }

  close(): void {}
}
