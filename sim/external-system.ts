import { WeirError } from '#runtime/base/errors'
import type { CommitOutcome, Sink, SinkContext, SinkWriter, TransactionId } from '#runtime/connectors/sink'
import type { Caller, SimAccess } from './caller.ts'
import type { Row, SinkUid } from './job.ts'
import type { CommittedRows } from './ledger.ts'
import type { World } from './world.ts'

interface Prepared {
  readonly id: TransactionId
  readonly rows: readonly Row[]
}

/**
 * A system with transactions, as a sink of a user writes to one: prepared under a name, then
 * committed or rolled back. Committing twice is harmless; what was rolled back is gone.
 */
export class ExternalSystem {
  readonly #world: World
  readonly #prepared = new Map<string, Prepared>()
  readonly #committed = new Set<string>()
  readonly visible: CommittedRows[] = []
  /** Told of every transaction that is prepared. */
  onCreated: (name: string) => void = () => undefined

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

  prepare(name: string, prepared: Prepared): void {
    this.#prepared.set(name, prepared)
    this.onCreated(name)
  }

  commit(uid: SinkUid, name: string): void {
    if (this.#committed.has(name)) return this.#world.coverage.reach('commit repeated')
    const prepared = this.#prepared.get(name)
    if (prepared === undefined)
      throw new WeirError('CKP_COMMIT_LOST', `Transaction ${name} does not exist: it was rolled back.`)
    this.#prepared.delete(name)
    this.#committed.add(name)
    this.visible.push({ job: prepared.id.job, uid, rows: prepared.rows })
  }

  preparedOf(job: string): string[] {
    return [...this.#prepared].flatMap(([name, { id }]) => (id.job === job ? [name] : []))
  }

  rollBack(isDangling: (id: TransactionId) => boolean): void {
    for (const [name, { id }] of this.#prepared) if (isDangling(id)) this.#prepared.delete(name)
  }
}

class ExternalWriter implements SinkWriter<Row, { name: string }> {
  readonly #system: ExternalSystem
  readonly #uid: SinkUid
  readonly #caller: Caller
  #rows: Row[] = []
  #id: TransactionId | undefined

  constructor(system: ExternalSystem, uid: SinkUid, context: SinkContext) {
    this.#system = system
    this.#uid = uid
    this.#caller = (context.access as SimAccess).caller
  }

  recover(isDangling: (id: TransactionId) => boolean): Promise<void> {
    return this.#caller.call('external', () => this.#system.rollBack(isDangling))
  }

  begin(id: TransactionId): void {
    this.#id = id
  }

  write(row: Row): void {
    this.#rows.push(row)
  }

  async prepare(): Promise<{ name: string } | undefined> {
    const rows = this.#rows
    const id = this.#id as TransactionId
    this.#rows = []
    if (rows.length === 0) return undefined
    const name = `${id.job}/${this.#uid}/${id.attempt}/${id.subtask}/${id.after}`
    await this.#caller.call('external', () => this.#system.prepare(name, { id, rows }))
    return { name }
  }

  async commit({ name }: { name: string }): Promise<CommitOutcome> {
    await this.#caller.call('external', () => this.#system.commit(this.#uid, name))
    return 'committed'
  }

  close(): void {}
}
