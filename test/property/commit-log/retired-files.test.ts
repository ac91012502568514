import fc from 'fast-check'
import { expect, test } from 'vitest'
import { silentLogger } from '#runtime/base/logger'
import { nextAttempt } from '#runtime/commit-log/log-state'
import { sha256Of } from '#runtime/base/sha256'
import { fileKeys, writeManifest } from '#runtime/commit-log/manifest-io'
import { chooseRetired } from '#runtime/commit-log/retention'
import { RetiredFiles } from '#runtime/commit-log/retired-files'
import type { Term } from '#runtime/commit-log/term'
import type { LogBody, Manifest, StateFile } from '#runtime/contract/checkpoint-records'
import { MemoryObjects, MemoryStore } from '#runtime/storage/memory-store'
import {
  checkpointDirectory,
  keyUrl,
  manifestKey,
  savepointDirectory,
  stateFileKey,
} from '#runtime/storage/paths'
import { TestClock } from '#runtime/testing/test-clock'
import { manifestOf } from '#test/kit/checkpoint'
import { append, checkpointBody, deployBody, leadLog } from '#test/kit/commit-log'

/**
 * A job's whole life in the store, in any order: checkpoints that reuse some files of their base or
 * change nothing at all, that fail at any point, savepoints in three places, pins, restarts, new
 * leaders, going back to an older checkpoint, hours and days without anything. After each step
 * everything that somebody may still need is there; in the end nothing else is.
 */
const SECOND = 1000
const HOUR = 3600 * SECOND
const DAY = 24 * HOUR
const GRACE = 60 * SECOND

/** Which files of its base a checkpoint keeps, by their index. */
const KEPT = {
  none: () => false,
  some: (_: unknown, index: number) => index % 2 === 0,
  all: () => true,
} as const

const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      what: fc.constant('checkpoint' as const),
      /** All, and nothing new: it changes nothing. */
      keeps: fc.constantFrom('none', 'some', 'all'),
      adds: fc.boolean(),
      /** Fails with its files, or also its manifest, written. */
      outcome: fc.constantFrom('completes', 'completes', 'completes', 'files left', 'manifest left'),
      retain: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      what: fc.constant('savepoint' as const),
      place: fc.constantFrom('default', 'elsewhere', 'own path'),
      ends: fc.constantFrom(undefined, undefined, 'Suspended' as const),
      outcome: fc.constantFrom('completes', 'completes', 'files left'),
    }),
  },
  fc.record({ what: fc.constant('pin' as const), forMs: fc.constantFrom(10 * SECOND, HOUR, 3 * DAY) }),
  fc.record({ what: fc.constantFrom('restart' as const, 'new leader' as const, 'go back' as const) }),
  {
    weight: 4,
    arbitrary: fc.record({
      what: fc.constant('time' as const),
      ms: fc.constantFrom(20 * SECOND, 40 * SECOND, GRACE, HOUR, DAY),
    }),
  },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never
type StepOf<K extends Step['what']> = Extract<Step, { what: K }>

class Job {
  readonly clock = new TestClock()
  readonly objects = new MemoryObjects(() => this.clock.now())
  readonly counts = { 'shared manifests': 0, orphans: 0, 'spare copies': 0, pinned: 0 }
  readonly #store = new MemoryStore({ objects: this.objects })
  readonly #manifests = new Map<string, Manifest>()
  /** What users were given: these keys are theirs. */
  readonly #users = new Set<string>()
  /** What was promised to others, until then. */
  #pins: { readonly manifest: string; readonly until: number }[] = []
  /** What a checkpoint in flight has written. */
  #inFlight: string[] = []
  #term!: Term
  #retired!: RetiredFiles
  #id = 0
  #run = 0
  #base: { readonly id: number; readonly files: readonly StateFile[] } | undefined

  get term(): Term {
    return this.#term
  }

  async lead(run = this.#run): Promise<void> {
    this.#run = run
    this.#retired?.close()
    const { clock } = this
    this.#term = (await leadLog(this.#store, { clock, run })).term
    const options = { store: this.#store, log: this.#term, clock, logger: silentLogger, graceMs: GRACE }
    this.#retired = new RetiredFiles(options)
    await this.deploy(this.#term.state.restorePoint)
  }

  async deploy(restoreFrom: Extract<LogBody, { kind: 'DEPLOY' }>['restoreFrom']): Promise<void> {
    const { state, epoch } = this.#term
    await append(this.#term, deployBody(nextAttempt(state, epoch), { restoreFrom, run: this.#run }))
    this.#base = undefined
  }

  async do(step: Step): Promise<void> {
    switch (step.what) {
      case 'checkpoint':
        return this.#checkpoint(step)
      case 'savepoint':
        return this.#savepoint(step)
      case 'pin':
        return this.#pin(step.forMs)
      case 'restart':
        return this.deploy(this.#term.state.restorePoint)
      case 'new leader':
        return this.lead()
      case 'go back': {
        const [oldest] = this.#term.state.retained
        if (oldest === undefined) return
        const { id, manifest, sha256 } = oldest
        return this.deploy({ kind: 'checkpoint', id, manifest, sha256 })
      }
      case 'time':
        return this.clock.runFor(step.ms)
    }
  }

  async #checkpoint({ keeps, adds, outcome, retain }: StepOf<'checkpoint'>): Promise<void> {
    const [id, term, base] = [++this.#id, this.#term, this.#base ?? { id: 0, files: [] }]
    const kept = base.files.filter(KEPT[keeps])
    const isNew = adds || kept.length === 0
    const files = isNew ? [...kept, await this.#write(checkpointDirectory({ id, epoch: term.epoch }))] : kept
    await this.#meanwhile()
    if (outcome === 'files left') return this.#fail()
    const isShared = !isNew && kept.length === base.files.length
    const written = isShared
      ? term.state.retained.find((c) => c.id === base.id)
      : await this.#writeManifest(id, 'checkpoint', files)
    if (written === undefined || outcome === 'manifest left') return this.#fail()
    if (isShared) this.counts['shared manifests']++
    await append(
      term,
      checkpointBody(id, term.epoch, this.#attempt, {
        base: base.id,
        manifest: written.manifest,
        sha256: written.sha256,
        retires: chooseRetired(term.state, { retain, now: this.clock.now(), asked: new Set() }),
      }),
    )
    this.#base = { id, files }
    this.#inFlight = []
    await this.#deleteRetired()
  }

  async #deleteRetired(): Promise<void> {
    const before = this.objects.list('').length
    await this.#retired.afterCheckpoint()
    if (this.objects.list('').length < before) this.counts.orphans++
  }

  get #attempt(): string {
    return this.#term.state.deploy?.attempt ?? ''
  }

  async #savepoint({ place, ends, outcome }: StepOf<'savepoint'>): Promise<void> {
    const [id, term] = [++this.#id, this.#term]
    const directory =
      place === 'own path' ? `savepoints/2024-01/sp-${id}` : savepointDirectory({ id, epoch: term.epoch })
    const file = await this.#write(directory, id)
    await this.#meanwhile()
    if (outcome === 'files left') return this.#fail(place !== 'own path')
    const hasManifest = place !== 'elsewhere' || ends !== undefined
    const { manifest, sha256 } = hasManifest
      ? await this.#writeManifest(id, 'savepoint', [file], directory)
      : { manifest: '', sha256: 'ab'.repeat(32) }
    await append(term, {
      kind: 'SAVEPOINT',
      id,
      path: place === 'elsewhere' ? `s3://elsewhere/${id}` : keyUrl(this.#store.url, directory),
      sha256,
      sizeBytes: 1,
      attempt: this.#attempt,
      ...(ends === undefined ? {} : { end: ends, manifest }),
    })
    await this.#settleSavepoint(place, directory, ends !== undefined)
    this.#inFlight = []
    if (ends !== undefined) await this.#end(ends, id)
  }

  async #settleSavepoint(place: string, directory: string, isLast: boolean): Promise<void> {
    if (place !== 'elsewhere')
      for (const key of [...this.#inFlight, manifestKey(directory)]) this.#users.add(key)
    else if (isLast) this.counts['spare copies']++
    else await this.#store.delete(this.#inFlight)
  }

  async #end(status: 'Suspended', committedUpTo: number): Promise<void> {
    await append(this.#term, { kind: 'CLOSE', run: this.#run, status, committedUpTo })
    await this.lead(this.#run + 1)
  }

  async #pin(forMs: number): Promise<void> {
    const [oldest] = this.#term.state.retained
    if (oldest === undefined) return
    this.counts.pinned++
    const until = this.clock.now() + forMs
    await append(this.#term, { kind: 'PIN', ids: [oldest.id], by: `fork ${this.counts.pinned}`, until })
    this.#pins.push({ manifest: oldest.manifest, until })
  }

  /** While a checkpoint is in flight, timers fire: what it has written must stay. */
  async #meanwhile(): Promise<void> {
    await this.clock.runFor(this.#id % 3 === 0 ? GRACE : SECOND)
    this.check()
  }

  /** What is left behind is garbage, but at a user's own path nobody may touch it. */
  #fail(isGarbage = true): void {
    if (!isGarbage) for (const key of this.#inFlight) this.#users.add(key)
    this.#inFlight = []
  }

  async #write(directory: string, savepointId?: number): Promise<StateFile> {
    const bytes = Buffer.from(`${this.#id}`)
    const name = {
      vertex: 'count',
      subtask: 0,
      attempt: this.#term.state.deploy?.attempt ?? '',
      part: 'state' as const,
      ...(savepointId === undefined ? {} : { savepointId }),
    }
    const key = stateFileKey(directory, name)
    await this.#store.create(key, bytes)
    this.#inFlight.push(key)
    const own = savepointId === undefined ? key : stateFileKey('', name)
    return { key: own, sizeBytes: 1, sha256: sha256Of(bytes), writtenBy: this.#id, mode: 'full' }
  }

  async #writeManifest(id: number, kind: Manifest['type'], files: readonly StateFile[], directory?: string) {
    const { epoch, state } = this.#term
    const subtasks = [{ subtask: 0, keyGroups: [0, 128] as [number, number], chain: [...files] }]
    const vertices = [{ vertex: 'count', uids: ['count'], states: [], parallelism: 1, subtasks }]
    const of = { id, epoch, attempt: state.deploy?.attempt ?? '', base: 0, kind }
    const manifest = manifestOf(of, { vertices })
    const { key, sha256 } = await writeManifest(
      this.#store,
      manifest,
      directory === undefined ? {} : { directory },
    )
    this.#manifests.set(key, manifest)
    this.#inFlight.push(key)
    return { manifest: key, sha256 }
  }

  /** Keys that somebody may need. */
  needed(): Set<string> {
    const { retained, restorePoint, retirements } = this.#term.state
    const manifests = retained.map((c) => c.manifest)
    if (restorePoint.kind !== 'empty' && restorePoint.manifest !== undefined)
      manifests.push(restorePoint.manifest)
    for (const { manifest, until } of this.#pins) if (this.clock.now() < until) manifests.push(manifest)
    for (const { at, checkpoints } of retirements)
      if (this.clock.now() - at < GRACE) manifests.push(...checkpoints.map((c) => c.manifest))
    const files = manifests.flatMap((key) => {
      const manifest = this.#manifests.get(key) as Manifest
      const prefix = manifest.type === 'savepoint' ? key.slice(0, -'manifest.json'.length) : ''
      return fileKeys(manifest).map((file) => `${prefix}${file}`)
    })
    return new Set([...manifests, ...files, ...this.#users, ...this.#inFlight])
  }

  check(): void {
    for (const key of this.needed()) expect(this.objects.get(key), `${key} is needed`).toBeDefined()
  }
}

test('what anybody needs is there at any time, and nothing else is in the end', async () => {
  const seen: Record<string, number> = {}
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 50, size: 'max' }), async (steps) => {
      const job = new Job()
      await job.lead(1)
      for (const one of steps) {
        await job.do(one)
        job.check()
      }
      for (const [what, count] of Object.entries(job.counts)) seen[what] = (seen[what] ?? 0) + count
      const complete = {
        what: 'checkpoint',
        keeps: 'none',
        adds: true,
        outcome: 'completes',
        retain: 1,
      } as const
      for (let i = 0; i < 3; i++) {
        await job.do(complete)
        await job.do({ what: 'time', ms: 4 * DAY })
      }
      await job.do(complete)
      await job.do({ what: 'time', ms: GRACE })
      job.check()
      const stored = job.objects.list('').filter((o) => !o.key.startsWith('log/'))
      expect(stored.map((o) => o.key)).toEqual([...job.needed()].toSorted())
    }),
    { numRuns: 300 },
  )
  for (const [what, count] of Object.entries(seen)) expect(count, what).toBeGreaterThan(50)
})
