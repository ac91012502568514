import { files, type Sink } from '#runtime/index'
import { simBucket, SimBucketObjects } from './bucket.ts'
import type { Caller, SimAccess } from './caller.ts'
import { simDisk, SimFiles } from './disk.ts'
import { ExternalSystem } from './external-system.ts'
import type { Row, SinkUid } from './job.ts'
import type { CommittedRows } from './ledger.ts'
import type { World } from './world.ts'

/** Where a sink of a simulated job writes. */
export type OutputKind = 'disk' | 'bucket' | 'external'

const BUCKET = 'output'

interface Found {
  readonly path: string
  readonly bytes: Uint8Array
  /** Its commit is not through: where nothing can be renamed, it may come back (limits.md). */
  readonly mayComeBack: boolean
  take(): void
}

/** Everything that simulated jobs write to, and its consumers. */
export class Output {
  readonly files = new SimFiles()
  readonly bucket = new SimBucketObjects(BUCKET)
  readonly external: ExternalSystem
  readonly #world: World
  /** Paths and rows that consumers have taken away. */
  readonly #taken = new Map<string, CommittedRows>()
  readonly #mayComeBack = new Set<string>()
  readonly #createdMs = new Map<string, number>()

  constructor(world: World) {
    this.#world = world
    this.external = new ExternalSystem(world)
    for (const place of [this.files, this.bucket, this.external])
      place.onCreated = (path) => void this.#createdMs.set(path, world.clock.monotonic())
  }

  accessOf(caller: Caller): SimAccess {
    return {
      caller,
      disk: simDisk(this.files, caller),
      bucket: () => simBucket(this.bucket, caller),
      [Symbol.dispose]: () => undefined,
    }
  }

  sinkOf(kind: OutputKind, job: string, uid: SinkUid): Sink<any> {
    if (kind === 'external') return this.external.sink(uid)
    return files.jsonl(kind === 'disk' ? `/output/${job}/${uid}` : `s3://${BUCKET}/${job}/${uid}/`)
  }

  /** Rows that are, or were, where everybody can see them. */
  get committed(): readonly CommittedRows[] {
    return [
      ...this.external.visible,
      ...this.#taken.values(),
      ...this.#found().flatMap(({ path, bytes }) => (this.#taken.has(path) ? [] : [rowsIn(path, bytes)])),
    ]
  }

  /** When the file, object or transaction appeared, by virtual time. */
  createdMs(path: string): number {
    return this.#createdMs.get(path) ?? 0
  }

  /**
   * What a job prepared and has neither committed nor taken back. Without uploads that were started
   * by a request whose answer got lost: those are aborted at the next restore.
   */
  preparedOf(job: string): string[] {
    const staged = [...this.files.files.keys(), ...this.bucket.objects.keys()].filter(
      (path) => path.includes('/.') && !path.endsWith('.marker') && path.includes(`${job}/`),
    )
    return [...staged, ...this.external.preparedOf(job)]
  }

  /** A consumer takes a committed file away, as it likes. */
  consumeOne(): void {
    const found = this.#found()
    if (found.length === 0) return
    const { path, bytes, mayComeBack, take } = this.#world.random.pick(found)
    if (this.#taken.has(path)) {
      this.#world.coverage.reach('output came back')
      if (!this.#mayComeBack.has(path))
        this.#world.violate('I5', `${path} came back after a consumer had taken it`)
    }
    if (mayComeBack) this.#mayComeBack.add(path)
    this.#taken.set(path, rowsIn(path, bytes))
    take()
    this.#world.tell('consumer', `takes ${path}${mayComeBack ? ' in the middle of its commit' : ''}`)
    this.#world.coverage.reach('output consumed')
  }

  #found(): Found[] {
    const local = [...this.files.files.keys()].map((path) => ({
      path,
      bytes: this.files.read(path),
      mayComeBack: false,
      take: () => void this.files.files.delete(path),
    }))
    const remote = [...this.bucket.objects].map(([key, bytes]) => ({
      path: `s3://${BUCKET}/${key}`,
      bytes,
      mayComeBack: this.bucket.isHalfMoved(key),
      take: () => void this.bucket.objects.delete(key),
    }))
    return [...local, ...remote].filter(({ path }) => !path.includes('/.'))
  }
}

/** Of a file below `.../<job>/<uid of the sink>/`. */
function rowsIn(path: string, bytes: Uint8Array): CommittedRows {
  const [uid, job] = path.split('/').slice(-3).toReversed().slice(1) as [SinkUid, string]
  const lines = Buffer.from(bytes).toString('utf8').split('\n').filter(Boolean)
  return { job, uid, rows: lines.map((line) => JSON.parse(line) as Row) }
}
