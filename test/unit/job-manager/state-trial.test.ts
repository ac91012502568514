import { expect, test } from 'vitest'
import { messageOf } from '#runtime/base/errors'
import type { StoredState } from '#runtime/contract/checkpoint-records'
import { planJob } from '#runtime/job-manager/plan-job'
import { openForeign } from '#runtime/restore/restore-point'
import { trialsOf } from '#runtime/restore/trial'
import { HeapBackend } from '#runtime/state/heap-backend'
import { encodeStateFile } from '#runtime/state/snapshot-format'
import { storePoint } from '#test/kit/checkpoints'
import { MemoryDisk } from '#test/kit/memory-stores'

const STORED: StoredState = {
  uid: 'step',
  name: 'total',
  kind: 'value',
  version: 1,
  keys: ['string'],
  values: ['number'],
}

function fileOf(entries: Readonly<Record<string, number>>): Uint8Array {
  const keyGroups = { from: 0, to: 128 }
  const backend = new HeapBackend({ uid: 'step', keyGroups, maxParallelism: 128, monotonic: () => 0 })
  for (const [key, value] of Object.entries(entries)) backend.table('state:total').put(key, value)
  const snapshot = backend.snapshot(1, 0)
  while (!snapshot.step(1000));
  return encodeStateFile({ mode: 'full', sections: snapshot.sections() }, { compress: false })
}

/** A savepoint with three subtasks of the step: the last has no keys, the second fewer. */
async function savepoint() {
  const disk = new MemoryDisk()
  const files = [fileOf({ a: 1, b: 2, c: 3 }), fileOf({ z: 26 }), fileOf({})]
  await storePoint(disk.stores().at('file:///sp'), {
    type: 'savepoint',
    id: 1,
    directory: '',
    vertices: [
      {
        vertex: 'step',
        uids: ['step'],
        states: [STORED],
        subtasks: files.map((file) => ({ keyGroups: [0, 128] as const, files: [file] })),
      },
    ],
  })
  return await openForeign('file:///sp', disk.stores())
}

const jobWith = (state: string) => ({
  module: {
    name: 'job.ts',
    source: `import { blackhole, defineJob, generator, valueState } from 'weir-stream'
export default defineJob(({ env }) => {
  env.source('n', generator({ count: 1, make: (n) => n }))
    .keyBy(() => 'k')
    .process('step', { state: { total: ${state} }, onRecord: () => undefined })
    .sink('out', blackhole())
})
`,
    sha256: '',
    args: {},
  },
  parallelism: 2,
  maxParallelism: 128,
})

const tried = async (state: string): Promise<string> => {
  const point = await savepoint()
  const { plan } = await planJob(jobWith(state))
  const trials = await trialsOf(point, plan)
  const outcome = planJob(jobWith(state), trials).then(() => 'fits', messageOf)
  return `${trials.length} of ${trials[0]?.file.byteLength ?? 0} bytes: ${await outcome}`
}
const SMALL = fileOf({ z: 26 }).byteLength

test('state that stays as it is is not tried', async () => {
  expect(await tried('valueState(0)')).toBe('0 of 0 bytes: fits')
})

test('a migration is tried on the smallest file of the step', async () => {
  expect(await tried('valueState("", { version: 2, migrate: (n) => String(n) })')).toBe(
    `1 of ${SMALL} bytes: fits`,
  )
})

test('one that throws is refused with step, line, state and key, before anything is restored', async () => {
  const text = await tried('valueState("", { version: 2, migrate: (n) => n.toLowerCase() })')
  expect(text).toBe(
    `1 of ${SMALL} bytes: Cannot restore file:///sp: "step" (job.ts:5:87): ` +
      'state "total", key "z": n.toLowerCase is not a function',
  )
})

test('so is a value that a schema refuses', async () => {
  const schema =
    '{ "~standard": { version: 1, vendor: "test", validate: () => ({ issues: [{ message: "too old" }] }) } }'
  expect(await tried(`valueState(0, { schema: ${schema} })`)).toContain(
    '"step" (job.ts:5:6): state "total", key "z": its schema refuses the stored 26: too old.',
  )
})
