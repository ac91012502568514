/**
 * What a restore costs by the number of files that keyed state lies in, and what bounding that
 * number costs: why MAX_CHAIN_LENGTH (runtime/task/subtask-snapshot.ts) is what it is.
 *
 *   node bench/restore-chain.ts [--keys 200000] [--runs 5] [--request-ms 15]
 *
 * The real heap backend, state files compressed as a TaskManager does it, in a directory. A value
 * has some 60 bytes. Changes are spread over all keys at random, the same share of the keys at each
 * checkpoint. A chain of 1 is a whole snapshot each time.
 *
 * restore: CPU to read, verify and apply all files. requests: what reading them takes a store that
 * answers after --request-ms, 8 at a time. written: bytes per checkpoint on average over a chain of
 * that length, the manifest included, in which files of at most 20 KiB lie; each checkpoint writes
 * those again.
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { cpus } from 'node:os'
import { formatBytes } from '#runtime/base/units'
import { sha256Of } from '#runtime/base/sha256'
import { HeapBackend } from '#runtime/state/heap-backend'
import type { KeyedSnapshot } from '#runtime/state/keyed-state'
import { encodeStateFile, openStateFile } from '#runtime/state/snapshot-format'
import { FileStore } from '#runtime/storage/file-store'
import { INLINE_BYTES } from '#runtime/task-manager/state-uploader'
import { table } from '#cli/table'
import { tempDir } from '#tools/servers/temp-dir'
import { spreadOf } from './measurement.ts'
import { wholeNumber } from './whole-number.ts'

interface Options {
  readonly keys: number
  readonly runs: number
  readonly requestMs: number
}

const CHAINS = [1, 2, 4, 8, 16, 32, 64]
const SHARES = [0.0005, 0.005, 0.05]
const PARALLEL_READS = 8

function parseOptions(): Options {
  const { values } = parseArgs({
    options: {
      keys: { type: 'string', default: '200000' },
      runs: { type: 'string', default: '5' },
      'request-ms': { type: 'string', default: '15' },
    },
  })
  return {
    keys: wholeNumber('--keys', values.keys, 1000),
    runs: wholeNumber('--runs', values.runs, 1),
    requestMs: wholeNumber('--request-ms', values['request-ms'], 0),
  }
}

const newBackend = (): HeapBackend =>
  new HeapBackend({
    uid: 'op',
    keyGroups: { from: 0, to: 128 },
    maxParallelism: 128,
    monotonic: () => performance.now(),
  })

/** A fixed sequence, so that two runs write the same. */
function* numbers(): Generator<number, never> {
  for (let n = 1; ; n = (n * 48271) % 2147483647) yield n
}

const valueOf = (key: number, n: number) => ({ user: `user-${key}`, count: n, total: n / 7, last: `${n}` })

async function bytesOf(snapshot: KeyedSnapshot): Promise<Uint8Array> {
  while (!snapshot.step(1000));
  const { mode } = snapshot
  return encodeStateFile({ mode, sections: snapshot.sections() }, { compress: true })
}

/** Files of a chain: whole state, then changes of `share` of the keys in each. */
async function writeChain(store: FileStore, { keys }: Options, share: number, length: number) {
  const backend = newBackend()
  const state = backend.table<number, unknown>('t')
  for (let key = 0; key < keys; key++) state.put(key, valueOf(key, key))
  const random = numbers()
  const sizes: number[] = []
  for (let id = 1; id <= length; id++) {
    if (id > 1)
      for (let i = 0; i < keys * share; i++) {
        const n = random.next().value
        state.put(n % keys, valueOf(n % keys, n))
      }
    const snapshot = backend.snapshot(id, id - 1)
    if (id > 1 && snapshot.mode === 'full') return undefined
    const bytes = await bytesOf(snapshot)
    await store.create(`${share}/${length}/${id}.state`, bytes)
    sizes.push(bytes.byteLength)
  }
  return sizes
}

/** CPU milliseconds. */
async function restore(store: FileStore, directory: string, files: number): Promise<number> {
  const before = process.cpuUsage()
  const backend = newBackend()
  for (let id = 1; id <= files; id++) {
    const bytes = await store.get(`${directory}/${id}.state`)
    sha256Of(bytes)
    backend.restore(openStateFile(bytes), 'op')
  }
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}

/** What checkpoint `at` (from 0) of a chain writes: its own file, and the manifest. */
function writtenBy(sizes: readonly number[], at: number): number {
  const inlined = sizes.slice(0, at + 1).filter((size) => size <= INLINE_BYTES)
  const own = sizes[at] as number
  return inlined.reduce((sum, size) => sum + (size * 4) / 3, own > INLINE_BYTES ? own : 0)
}

/** Undefined: so many changes outgrow the state, so that it is written whole before. */
async function measure(store: FileStore, options: Options, share: number, length: number) {
  const sizes = await writeChain(store, options, share, length)
  if (sizes === undefined) return undefined
  const runs: number[] = []
  for (let run = 0; run < options.runs; run++) runs.push(await restore(store, `${share}/${length}`, length))
  const { median, min, max } = spreadOf(runs)
  const total = sizes.reduce((sum, size) => sum + size, 0)
  const written = sizes.reduce((sum, _, at) => sum + writtenBy(sizes, at), 0)
  const requests = Math.ceil(length / PARALLEL_READS) * options.requestMs
  return [
    `${(share * 100).toFixed(2)} %`,
    length,
    formatBytes(total),
    `${median.toFixed(0)} (${min.toFixed(0)}-${max.toFixed(0)})`,
    requests,
    formatBytes(Math.round(written / length)),
  ]
}

const options = parseOptions()
console.log(`${cpus()[0]?.model ?? 'unknown CPU'}, Node ${process.version}, ${options.keys} keys\n`)
await using directory = await tempDir('restore-chain')
const rows: (string | number)[][] = []
for (const share of SHARES)
  for (const length of CHAINS) {
    const store = new FileStore(join(directory.path, 'root'))
    const row = await measure(store, options, share, length)
    if (row !== undefined) rows.push(row)
  }
console.log(table(['CHANGED', 'FILES', 'BYTES', 'RESTORE CPU MS', 'REQUESTS MS', 'WRITTEN/CHECKPOINT'], rows))
