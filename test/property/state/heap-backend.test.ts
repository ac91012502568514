import { strict as assert } from 'node:assert'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { keyGroupOf, keyGroupRange, subtaskOfKeyGroup } from '#runtime/element/key-group'
import { HeapBackend } from '#runtime/state/heap-backend'
import type { KeyedSnapshot, StateFileReader } from '#runtime/state/keyed-state'
import { encodeStateFile, openStateFile } from '#runtime/state/snapshot-format'

const MAX_PARALLELISM = 8
const UID = 'op'

type Key = string | number | boolean | { k: number } | [string, number]
type Value = number | string | { n: number; tags: string[] }
/** `table/namespace` -> JSON of key -> value. */
type Model = Map<string, Map<string, Value>>

const keys: readonly Key[] = [
  ...Array.from({ length: 12 }, (_, i) => i),
  ...Array.from({ length: 12 }, (_, i) => `key-${i}`),
  ...Array.from({ length: 6 }, (_, i) => ({ k: i })),
  ...Array.from({ length: 6 }, (_, i): [string, number] => ['pair', i]),
  true,
]
const places = [
  ['a', undefined],
  ['a', 0],
  ['a', -5],
  ['b', undefined],
  ['b', 1.5],
] as const

const key = fc.constantFrom(...keys)
const place = fc.nat(places.length - 1)
const value = fc.oneof(
  fc.integer(),
  fc.string(),
  fc.record({ n: fc.integer(), tags: fc.array(fc.string(), { maxLength: 2 }) }),
)

const command = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('put' as const), place, key, value }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('mutate' as const), place, key, n: fc.integer() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('cell' as const), place, key, value }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('remove' as const), place, key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('get' as const), place, key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('drop' as const), place }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('checkpoint' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('snapshot' as const), base: fc.integer({ min: 0, max: 2 }) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('step' as const), steps: fc.integer({ min: 1, max: 6 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel' as const) }) },
)
type Command = typeof command extends fc.Arbitrary<infer T> ? T : never

interface Checkpoint {
  readonly id: number
  readonly frozen: Model
  readonly chains: StateFileReader[][]
}

/** A job of `parallelism` subtasks that snapshot together, and the model of what they hold. */
class Job {
  readonly #backends: HeapBackend[]
  readonly model: Model = new Map()
  readonly completed: Checkpoint[] = []
  readonly modes: string[] = []
  #running: { id: number; base: number; frozen: Model; snapshots: KeyedSnapshot[] } | undefined
  #nextId = 1

  constructor(parallelism: number) {
    this.#backends = backends(parallelism)
  }

  run(c: Command): void {
    const act = this.#acts[c.do] as (c: Command) => void
    act(c)
  }

  readonly #acts: { readonly [D in Command['do']]: (c: Extract<Command, { do: D }>) => void } = {
    put: (c) => {
      this.#table(c.place, c.key).put(c.key, structuredClone(c.value))
      this.#model(c.place).set(JSON.stringify(c.key), structuredClone(c.value))
    },
    cell: (c) => {
      const table = this.#table(c.place, c.key)
      const cell = table.cell(c.key)
      assert.deepEqual(table.read(cell), this.#model(c.place).get(JSON.stringify(c.key)))
      table.write(cell, structuredClone(c.value))
      this.#model(c.place).set(JSON.stringify(c.key), structuredClone(c.value))
    },
    mutate: (c) => {
      const table = this.#table(c.place, c.key)
      const stored = table.get(c.key)
      if (typeof stored !== 'object') return
      stored.n = c.n
      stored.tags.push(`t${c.n}`)
      table.put(c.key, stored)
      const copy = this.#model(c.place).get(JSON.stringify(c.key)) as { n: number; tags: string[] }
      copy.n = c.n
      copy.tags.push(`t${c.n}`)
    },
    remove: (c) => {
      this.#table(c.place, c.key).remove(c.key)
      this.#model(c.place).delete(JSON.stringify(c.key))
    },
    get: (c) => {
      const expected = this.#model(c.place).get(JSON.stringify(c.key))
      assert.deepEqual(this.#table(c.place, c.key).get(c.key), expected)
    },
    drop: (c) => {
      const [name, namespace] = places[c.place]!
      for (const b of this.#backends) {
        if (namespace === undefined) b.table(name).clear()
        else b.dropNamespace(name, namespace)
      }
      this.#model(c.place).clear()
    },
    snapshot: (c) => {
      const id = this.#nextId++
      const base = c.base === 0 ? 0 : (this.completed.at(-c.base)?.id ?? 0)
      const snapshots = this.#backends.map((b) => b.snapshot(id, base))
      this.#running = { id, base, frozen: structuredClone(this.model), snapshots }
    },
    checkpoint: () => {
      this.run({ do: 'snapshot', base: 1 })
      while (this.#running !== undefined) this.#step()
    },
    step: (c) => {
      for (let i = 0; i < c.steps; i++) this.#step()
    },
    cancel: () => {
      for (const snapshot of this.#running?.snapshots ?? []) snapshot.cancel()
      this.#running = undefined
    },
  }

  finish(): void {
    while (this.#running !== undefined) this.#step()
    assert.deepEqual(image(this.#backends), nonEmpty(this.model))
    assert.equal(
      this.#backends.reduce((sum, b) => sum + b.entryCount, 0),
      [...this.model.values()].reduce((sum, m) => sum + m.size, 0),
    )
  }

  #step(): void {
    const running = this.#running
    if (running === undefined || !running.snapshots.map((s) => s.step(0)).every(Boolean)) return
    this.#running = undefined
    const base = this.completed.find((c) => c.id === running.base)
    const chains = running.snapshots.map((snapshot, i) => {
      this.modes.push(snapshot.mode)
      const bytes = encodeStateFile(
        { mode: snapshot.mode, sections: snapshot.sections() },
        { compress: false },
      )
      return snapshot.mode === 'full' ? [openStateFile(bytes)] : [...base!.chains[i]!, openStateFile(bytes)]
    })
    this.completed.push({ id: running.id, frozen: running.frozen, chains })
  }

  #table(at: number, k: Key) {
    const [name, namespace] = places[at]!
    const subtask = subtaskOfKeyGroup(keyGroupOf(k, MAX_PARALLELISM), this.#backends.length, MAX_PARALLELISM)
    return this.#backends[subtask]!.table<Key, Value>(name, namespace)
  }

  #model(at: number): Map<string, Value> {
    const name = places[at]!.join('/')
    const found = this.model.get(name) ?? new Map<string, Value>()
    this.model.set(name, found)
    return found
  }
}

function backends(parallelism: number): HeapBackend[] {
  let now = 0
  return Array.from(
    { length: parallelism },
    (_, i) =>
      new HeapBackend({
        uid: UID,
        keyGroups: keyGroupRange(i, parallelism, MAX_PARALLELISM),
        maxParallelism: MAX_PARALLELISM,
        monotonic: () => now++,
      }),
  )
}

function image(all: readonly HeapBackend[]): Model {
  const found: Model = new Map()
  for (const [name, namespace] of places)
    for (const b of all)
      for (const [k, v] of b.table<Key, Value>(name, namespace).entries()) {
        const at = [name, namespace].join('/')
        found.set(at, (found.get(at) ?? new Map<string, Value>()).set(JSON.stringify(k), v))
      }
  return found
}

const nonEmpty = (model: Model): Model => new Map([...model].filter(([, m]) => m.size > 0))

const prefill: Command[] = places.flatMap((_, at) =>
  keys.map((k, i): Command => ({
    do: 'put',
    place: at,
    key: k,
    value: i % 2 === 0 ? i : { n: i, tags: [] },
  })),
)

describe('HeapBackend', () => {
  test('every completed checkpoint restores, at any parallelism, to the state at its freeze', () => {
    const seen = new Set<string>()
    const kinds = new Set<string>()
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: MAX_PARALLELISM }),
        fc.boolean(),
        fc.array(command, { minLength: 5, maxLength: 120 }),
        (parallelism, restoredParallelism, isPrefilled, commands) => {
          const job = new Job(parallelism)
          for (const c of isPrefilled ? [...prefill, { do: 'checkpoint' } as const, ...commands] : commands)
            job.run(c)
          job.finish()
          for (const mode of job.modes) seen.add(mode)
          const files = job.completed.flatMap(({ chains }) => chains.flat())
          for (const { kind } of files.flatMap((file) => file.index)) kinds.add(kind)
          for (const { frozen, chains } of job.completed) {
            const restored = backends(restoredParallelism)
            for (const b of restored) for (const file of chains.flat()) b.restore(file, UID)
            expect(image(restored)).toEqual(nonEmpty(frozen))
            expect(restored.reduce((sum, b) => sum + b.entryCount, 0)).toBe(
              [...frozen.values()].reduce((sum, m) => sum + m.size, 0),
            )
          }
        },
      ),
      { numRuns: 250 },
    )
    expect(seen).toEqual(new Set(['full', 'delta']))
    expect(kinds).toEqual(new Set(['entries', 'drop']))
  })
})
