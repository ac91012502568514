import { dirname } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { LogRecord, LogRecordOf, Manifest, RestorePoint } from '#runtime/contract/checkpoint-records'
import { parseLogKey } from '#runtime/storage/paths'
import { subtaskKey, type SubtaskPlace } from '#runtime/contract/rpc'
import type { SlotAssignment, ToSlot } from '#runtime/task/slot-messages'
import type { SimNode } from './node.ts'
import type { ObjectEvents, SimObjects } from './store.ts'
import { CHECKPOINT } from './timing.ts'
import type { World } from './world.ts'

/**
 * Sees the log and the files of every job, and knows the rules independently of the code that is
 * to keep them.
 *
 * I1 seq is dense, each record written once
 * I2 epochs grow; every record carries the open one; runs never fall
 * I3 a deployment restores from the newest restore point, or from what its run was asked to restore
 * I4 tasks are told to commit only what a record completes
 * I6 each subtask of an attempt runs once
 * I7 no file of a retained checkpoint is missing, and as many are retained as were asked for
 * I8 after a record that ends a run only its CLOSE follows; no run is closed as Failed
 * I11 an id that tasks were told to give up never completes
 * I12 when a run has ended, whoever asked its leader for something is answered
 * I13 a line that has finished has left nothing prepared
 * (I5, output exactly once: ledger.ts; I12, I13: scenario.ts)
 */
export class Oracle implements ObjectEvents {
  readonly #world: World
  readonly #objects: SimObjects
  readonly #jobs = new Map<string, JobRecord>()
  readonly #running = new Map<string, string>()

  constructor(world: World, objects: SimObjects) {
    this.#world = world
    this.#objects = objects
    objects.events = this
  }

  /** What is known of the job whose root this is. */
  job(root: string): JobRecord {
    const known = this.#jobs.get(root)
    if (known !== undefined) return known
    const job = new JobRecord(this.#world, this.#objects, root)
    this.#jobs.set(root, job)
    return job
  }

  onCreated(key: string, bytes: Uint8Array): void {
    const { root, rest } = split(key)
    const log = parseLogKey(rest)
    if (log?.kind === 'record') this.job(root).onLogKey(log.seq, bytes)
  }

  onDeleted(key: string): void {
    const { root, rest } = split(key)
    const log = parseLogKey(rest)
    if (log?.kind === 'record') this.job(root).onFreed(log.seq)
    else this.job(root).onFileDeleted(rest)
    for (const job of this.#jobs.values())
      for (const { id, path } of job.savepoints)
        if (`s3://sim/${key}`.startsWith(`${path}/`))
          this.#world.violate('I7', `${key} of savepoint ${id} was deleted`)
  }

  toSlot(node: SimNode, { job, deployment, taskManager, slot }: SlotAssignment, message: ToSlot): void {
    const of = this.job(job.uid)
    if (message.type === 'complete') of.onPermit(message.permit.checkpointId)
    if (message.type === 'abort') of.onAbort(message.epoch, message.checkpointId)
    if (message.type !== 'start') return
    const own = deployment.places.filter((p) => p.taskManager === taskManager && p.slot === slot)
    for (const place of own) this.#onStarted(job.uid, deployment.attempt, place, `${node.name}#${node.life}`)
  }

  #onStarted(job: string, attempt: string, place: SubtaskPlace, where: string): void {
    const key = `${job} ${attempt} ${subtaskKey(place)}`
    const other = this.#running.get(key)
    if (other !== undefined && other !== where)
      this.#world.violate('I6', `${subtaskKey(place)} of attempt ${attempt} runs on ${other} and ${where}`)
    this.#running.set(key, where)
  }
}

/** Roots of jobs are their uids: one segment. */
function split(key: string): { readonly root: string; readonly rest: string } {
  const slash = key.indexOf('/')
  return { root: key.slice(0, slash), rest: key.slice(slash + 1) }
}

/** One job's log as it is written. */
export class JobRecord {
  readonly #world: World
  readonly #objects: SimObjects
  readonly #root: string
  #head = -1
  #epoch = 0
  #run = 0
  #ending = false
  readonly #freed = new Set<number>()
  readonly #completed = new Set<number>()
  readonly #completedUnder = new Set<string>()
  readonly #aborted = new Set<string>()
  readonly #retained = new Map<number, ReadonlySet<string>>()
  /** Of the restore point, where it lies in the job's own root. */
  #pointFiles: ReadonlySet<string> = new Set()
  /** What the next deployment has to restore from. */
  newest: RestorePoint = { kind: 'empty' }
  /** What the runs were asked to restore, by run. */
  readonly asked = new Map<number, string | undefined>()
  readonly #deployedRuns = new Set<number>()
  readonly counts = { checkpoints: 0, savepoints: 0, deployments: 0, epochs: 0, closed: 0 }
  /** When each attempt was logged, in virtual time, in their order. */
  readonly attempts: { readonly attempt: string; readonly atMs: number }[] = []
  /** Status by run. */
  readonly closed = new Map<number, string>()
  readonly savepoints: { readonly id: number; readonly path: string; readonly attempt: string }[] = []

  constructor(world: World, objects: SimObjects, root: string) {
    this.#world = world
    this.#objects = objects
    this.#root = root
  }

  onLogKey(seq: number, bytes: Uint8Array): void {
    // A late request of somebody deposed may win a key that compaction freed: nobody reads it.
    if (this.#freed.has(seq)) return this.#world.coverage.reach('record in a freed place')
    const record = JSON.parse(Buffer.from(bytes).toString('utf8')) as LogRecord
    this.#world.tell('log', `${this.#root} ${seq} epoch ${record.epoch} ${textOf(record)}`)
    if (seq !== this.#head + 1 || record.seq !== seq)
      this.#violate('I1', `record ${seq} follows ${this.#head}`)
    this.#head = seq
    this.#onRecord(record)
  }

  onFreed(seq: number): void {
    this.#freed.add(seq)
    this.#world.coverage.reach('log compacted')
  }

  onFileDeleted(key: string): void {
    for (const [id, files] of this.#retained)
      if (files.has(key)) this.#violate('I7', `${key} of retained checkpoint ${id} was deleted`)
    if (this.#pointFiles.has(key)) this.#violate('I7', `${key} of the restore point was deleted`)
  }

  onPermit(id: number): void {
    if (!this.#completed.has(id))
      this.#violate('I4', `tasks are told to commit ${id}, which no record completes`)
  }

  onAbort(epoch: number, id: number): void {
    this.#aborted.add(`${epoch}/${id}`)
    if (this.#completedUnder.has(`${epoch}/${id}`))
      this.#violate('I11', `checkpoint ${id} of epoch ${epoch} was given up after it was completed`)
  }

  #onRecord(record: LogRecord): void {
    const { epoch, body } = record
    if (body.kind === 'EPOCH_OPEN') return this.#onEpoch(body)
    if (epoch !== this.#epoch)
      this.#violate('I2', `${body.kind} of epoch ${epoch} stands under ${this.#epoch}`)
    switch (body.kind) {
      case 'DEPLOY':
        return this.#onDeploy(body)
      case 'CHECKPOINT':
        return this.#onCheckpoint(epoch, body)
      case 'SAVEPOINT':
        return this.#onSavepoint(epoch, body)
      case 'CLOSE':
        return this.#onClose(body)
      case 'OWNER':
      case 'PIN':
        return
    }
  }

  #onCheckpoint(epoch: number, body: LogRecordOf<'CHECKPOINT'>): void {
    for (const id of body.retires) this.#retained.delete(id)
    this.#onCompleted(epoch, body, true)
    this.#retained.set(body.id, this.#filesOf(body.id, body.manifest))
    this.#checkRetained(body)
    this.newest = { kind: 'checkpoint', id: body.id, manifest: body.manifest, sha256: body.sha256 }
    this.#pointFiles = this.#retained.get(body.id) ?? new Set()
    this.counts.checkpoints++
  }

  #onSavepoint(epoch: number, body: LogRecordOf<'SAVEPOINT'>): void {
    this.#onCompleted(epoch, body, body.end !== undefined)
    this.savepoints.push({ id: body.id, path: body.path, attempt: body.attempt })
    if (body.end !== undefined) this.#onEndingSavepoint(body)
    this.counts.savepoints++
  }

  #onClose(body: LogRecordOf<'CLOSE'>): void {
    this.#ending = false
    this.closed.set(body.run, body.status)
    this.counts.closed++
    if (body.status === 'Failed') this.#violate('I8', `run ${body.run} was closed as Failed`)
  }

  #onEpoch(body: LogRecordOf<'EPOCH_OPEN'>): void {
    if (body.epoch <= this.#epoch) this.#violate('I2', `epoch ${body.epoch} opened after ${this.#epoch}`)
    if (body.run < this.#run) this.#violate('I2', `run ${body.run} opened an epoch after run ${this.#run}`)
    if (body.run > this.#run) this.#ending = false
    this.#epoch = body.epoch
    this.#run = body.run
    this.counts.epochs++
  }

  #onDeploy(body: LogRecordOf<'DEPLOY'>): void {
    this.counts.deployments++
    this.attempts.push({ attempt: body.attempt, atMs: this.#world.clock.monotonic() })
    const isFirst = !this.#deployedRuns.has(body.run)
    this.#deployedRuns.add(body.run)
    const asked = this.asked.get(body.run)
    if (isFirst && asked !== undefined) {
      const from = body.restoreFrom
      const isAsked = from.kind === 'savepoint' && from.path === asked
      const isOwnNewest = isDeepStrictEqual(from, this.newest)
      if (!isAsked && !isOwnNewest)
        this.#violate('I3', `run ${body.run} was asked to restore ${asked}, not ${textOfPoint(from)}`)
    } else if (!isSame(body.restoreFrom, this.newest))
      this.#violate(
        'I3',
        `attempt ${body.attempt} restores ${textOfPoint(body.restoreFrom)}, ` +
          `newest is ${textOfPoint(this.newest)}`,
      )
    if (!isSame(body.restoreFrom, this.newest)) this.#pointFiles = new Set()
    this.newest = body.restoreFrom
  }

  #onCompleted(epoch: number, { id, end }: { id: number; end?: string | undefined }, commits: boolean): void {
    if (this.#aborted.has(`${epoch}/${id}`))
      this.#violate('I11', `${id} of epoch ${epoch} completed after it was given up`)
    if (this.#ending && commits) this.#violate('I8', `${id} completed after a record that ends the run`)
    if (end !== undefined) this.#ending = true
    this.#completedUnder.add(`${epoch}/${id}`)
    if (commits) this.#completed.add(id)
  }

  #checkRetained({ id, retires }: LogRecordOf<'CHECKPOINT'>): void {
    const { size } = this.#retained
    if (retires.length > 0 && size < CHECKPOINT.retain)
      this.#violate('I7', `checkpoint ${id} retires ${retires.join(', ')} and leaves ${size}`)
  }

  #onEndingSavepoint(body: LogRecordOf<'SAVEPOINT'>): void {
    const manifest = body.manifest === undefined ? {} : { manifest: body.manifest }
    this.newest = {
      kind: 'savepoint',
      path: body.path,
      sha256: body.sha256,
      ...manifest,
      lineage: 'succession',
      committedUpTo: 0,
    }
    this.#pointFiles = body.manifest === undefined ? new Set() : this.#filesOf(body.id, body.manifest)
  }

  #filesOf(id: number, key: string): ReadonlySet<string> {
    const bytes = this.#objects.get(`${this.#root}/${key}`)
    if (bytes === undefined) {
      this.#violate('I7', `checkpoint ${id} was completed without its manifest ${key}`)
      return new Set()
    }
    const manifest = JSON.parse(Buffer.from(bytes).toString('utf8')) as Manifest
    // Files of a savepoint lie beside its manifest.
    const directory = manifest.type === 'savepoint' ? `${dirname(key)}/` : ''
    const files = manifest.vertices.flatMap((v) =>
      v.subtasks.flatMap((s) =>
        [...s.chain, ...(s.lists === undefined ? [] : [s.lists])].flatMap((f) => f.key ?? []),
      ),
    )
    const keys = files.map((file) => directory + file)
    for (const file of keys)
      if (this.#objects.get(`${this.#root}/${file}`) === undefined)
        this.#violate('I7', `checkpoint ${id} was completed without ${file}`)
    return new Set([key, ...keys])
  }

  #violate(invariant: string, text: string): void {
    this.#world.violate(invariant, `job ${this.#root}: ${text}`)
  }
}

const isSame = (a: RestorePoint, b: RestorePoint): boolean =>
  a.kind === 'savepoint' && b.kind === 'savepoint' ? a.path === b.path : isDeepStrictEqual(a, b)

function textOfPoint(point: RestorePoint): string {
  if (point.kind === 'empty') return 'nothing'
  return point.kind === 'checkpoint' ? `checkpoint ${point.id}` : `savepoint ${point.path}`
}

function textOf({ body }: LogRecord): string {
  switch (body.kind) {
    case 'OWNER':
      return `OWNER ${body.uid}`
    case 'EPOCH_OPEN':
      return `EPOCH_OPEN ${body.epoch} of run ${body.run} by ${body.leader}`
    case 'DEPLOY':
      return `DEPLOY ${body.attempt} from ${textOfPoint(body.restoreFrom)}`
    case 'CHECKPOINT':
      return `CHECKPOINT ${body.id} on ${body.base}${body.end === undefined ? '' : `, end: ${body.end}`}`
    case 'SAVEPOINT':
      return `SAVEPOINT ${body.id} at ${body.path}${body.end === undefined ? '' : `, end: ${body.end}`}`
    case 'CLOSE':
      return `CLOSE ${body.run} as ${body.status}`
    default:
      return body.kind
  }
}
