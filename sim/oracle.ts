import { parseCheckpointKey, parseLogKey } from '#runtime/storage/paths'
import type { LogRecord, Manifest } from '#runtime/contract/checkpoint-records'
import type { ObjectEvents, SimObjects } from './sim-store.ts'
import { EMPTY_FILE, entriesOf } from './incremental-state.ts'
import type { OutputRow } from './job.ts'
import type { World } from './world.ts'

/**
 * Sees everything, and knows the rules independently of the code that is to keep them.
 *
 * I1 log seq dense, each record written once · I2 epochs grow; every record carries the open one ·
 *    I3 a deployment restores from the newest completed checkpoint
 * I4 sinks commit only ids in the log · I5 output exactly once · I6 each subtask runs once per
 *    attempt · I7 no file of a retained checkpoint is missing cut: a checkpoint holds the effects
 *    of exactly the records that its sources have emitted
 * I11 an aborted id never becomes a checkpoint
 */
export class Oracle implements ObjectEvents {
  readonly #world: World
  readonly #objects: SimObjects
  readonly #recordsPerSource: readonly number[]
  #head = -1
  #epoch = 0
  #restorable = 0
  #closed = false
  readonly #logged = new Set<number>()
  readonly #retained = new Map<number, ReadonlySet<string>>()
  readonly #loggedUnder = new Set<string>()
  readonly #aborted = new Set<string>()
  readonly #freed = new Set<string>()
  readonly #running = new Map<string, string>()
  readonly #rows = new Set<string>()
  readonly #counts = new Map<string, Set<number>>()
  completed = 0
  savepoints = 0
  deployments = 0
  epochs = 0

  constructor(world: World, objects: SimObjects, recordsPerSource: readonly number[]) {
    this.#world = world
    this.#objects = objects
    this.#recordsPerSource = recordsPerSource
    objects.events = this
  }

  get closed(): boolean {
    return this.#closed
  }

  onCreated(key: string, bytes: Uint8Array): void {
    const log = parseLogKey(key)
    if (log?.kind !== 'record') return
    const record = JSON.parse(Buffer.from(bytes).toString('utf8')) as LogRecord
    this.#world.trace(`log ${log.seq} ${JSON.stringify(record.body)}`)
    // A late request of somebody deposed may win a key that compaction freed: nobody reads or
    // believes it.
    if (this.#freed.has(key)) return
    if (log.seq !== this.#head + 1 || record.seq !== log.seq)
      this.#violate('I1', `record ${log.seq} follows ${this.#head}`)
    this.#head = log.seq
    this.#onRecord(record)
  }

  onOverwritten(key: string): void {
    this.#violate('I1', `${key} was written twice`)
  }

  onDeleted(key: string): void {
    if (parseLogKey(key)?.kind === 'record') this.#freed.add(key)
    for (const [id, files] of this.#retained)
      if (files.has(key)) this.#violate('I7', `${key} of retained checkpoint ${id} was deleted`)
  }

  /** A coordinator told the tasks that the checkpoint is given up. */
  onAborted(epoch: number, id: number): void {
    this.#aborted.add(`${epoch}/${id}`)
    if (this.#loggedUnder.has(`${epoch}/${id}`))
      this.#violate('I11', `checkpoint ${id} of epoch ${epoch} was aborted after it was completed`)
  }

  onFailure(reason: string, message: string): void {
    if (reason === 'CORRUPT_UPLOAD')
      this.#violate('I7', `a task refers to a file that is not protected: ${message}`)
  }

  onStarted(attempt: string, subtask: string, place: string): void {
    const key = `${attempt} ${subtask}`
    const other = this.#running.get(key)
    if (other !== undefined && other !== place)
      this.#violate('I6', `${subtask} of attempt ${attempt} runs on ${other} and ${place}`)
    this.#running.set(key, place)
  }

  onCommit(permit: number, rows: readonly OutputRow[]): void {
    if (!this.#logged.has(permit))
      this.#violate('I4', `a sink committed on ${permit}, which no record completes`)
    for (const row of rows) {
      const id = `${row.source}/${row.offset}`
      if (this.#rows.has(id)) this.#violate('I5', `record ${id} was committed twice`)
      this.#rows.add(id)
      const numbers = this.#counts.get(row.key) ?? new Set()
      if (numbers.has(row.n)) this.#violate('I5', `key ${row.key} was counted to ${row.n} twice`)
      this.#counts.set(row.key, numbers.add(row.n))
    }
  }

  onMissingFile(key: string): void {
    this.#violate('I7', `restore found no ${key}`)
  }

  /** The run is over: everything must be there, once. */
  checkEnd(): void {
    if (!this.#closed) this.#violate('liveness', 'the job did not finish after all faults had ended')
    else
      this.#recordsPerSource.forEach((count, source) => {
        for (let offset = 0; offset < count; offset++)
          if (!this.#rows.has(`${source}/${offset}`))
            return this.#violate('I5', `record ${source}/${offset} was never committed`)
      })
    for (const [key, numbers] of this.#counts)
      if (Math.max(...numbers) !== numbers.size)
        this.#violate('I5', `key ${key} has ${numbers.size} counts up to ${Math.max(...numbers)}`)
  }

  #onRecord({ epoch, body }: LogRecord): void {
    if (body.kind === 'EPOCH_OPEN') {
      if (body.epoch <= this.#epoch) this.#violate('I2', `epoch ${body.epoch} opened after ${this.#epoch}`)
      this.#epoch = body.epoch
      this.epochs++
    } else if (epoch !== this.#epoch)
      this.#violate('I2', `${body.kind} of epoch ${epoch} stands under epoch ${this.#epoch}`)
    if (body.kind === 'CLOSE') this.#closed = true
    if (body.kind === 'SAVEPOINT') this.savepoints++
    if (body.kind === 'DEPLOY') {
      this.deployments++
      const from = body.restoreFrom.kind === 'checkpoint' ? body.restoreFrom.id : 0
      if (from !== this.#restorable)
        this.#violate('I3', `attempt ${body.attempt} restores from ${from}, newest is ${this.#restorable}`)
    }
    if (body.kind !== 'CHECKPOINT') return
    this.completed++
    if (this.#aborted.has(`${epoch}/${body.id}`))
      this.#violate('I11', `checkpoint ${body.id} of epoch ${epoch} completed after it was aborted`)
    this.#loggedUnder.add(`${epoch}/${body.id}`)
    this.#restorable = body.id
    this.#logged.add(body.id)
    for (const id of body.retires) this.#retained.delete(id)
    this.#retained.set(body.id, this.#filesOf(body.id, body.manifest))
  }

  #filesOf(id: number, key: string): ReadonlySet<string> {
    const bytes = this.#objects.get(key)
    if (bytes === undefined) {
      this.#violate('I7', `checkpoint ${id} was completed without its manifest ${key}`)
      return new Set()
    }
    const manifest = JSON.parse(Buffer.from(bytes).toString('utf8')) as Manifest
    this.#checkCut(manifest)
    const files = manifest.vertices.flatMap((v) =>
      v.subtasks.flatMap((s) => s.chain.flatMap((f) => f.key ?? [])),
    )
    for (const file of files) {
      if (this.#objects.get(file) === undefined)
        this.#violate('I7', `checkpoint ${id} was completed without ${file}`)
      if (parseCheckpointKey(file) === undefined)
        this.#violate('I7', `checkpoint ${id} refers to ${file}, outside chk/`)
    }
    return new Set([key, ...files])
  }

  /** Every record that the sources have behind them is counted, and no other. */
  #checkCut({ id, vertices }: Manifest): void {
    const states = (vertex: string) =>
      (vertices.find((v) => v.vertex === vertex)?.subtasks ?? []).map(({ chain }) =>
        entriesOf(
          chain.map((file) =>
            file.key === undefined
              ? Buffer.from(file.inline ?? '', 'base64')
              : (this.#objects.get(file.key) ?? Buffer.from(EMPTY_FILE)),
          ),
        ),
      )
    const sum = (entries: Record<string, unknown>[]) =>
      entries.flatMap((e) => Object.values(e) as number[]).reduce((a, b) => a + b, 0)
    const [emitted, counted] = [sum(states('source')), sum(states('count'))]
    if (emitted !== counted)
      this.#violate(
        'cut',
        `in checkpoint ${id} the sources have emitted ${emitted} records, ${counted} are counted`,
      )
  }

  #violate(invariant: string, text: string): void {
    this.#world.violate(invariant, text)
  }
}
