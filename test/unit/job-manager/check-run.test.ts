import { describe, expect, test } from 'vitest'
import { WeirError } from '#runtime/base/errors'
import { silentLogger } from '#runtime/base/logger'
import { CommitLog } from '#runtime/commit-log/commit-log'
import type { RestoreOptions } from '#runtime/contract/job-options'
import { checkRun } from '#runtime/job-manager/check-run'
import { storePoint } from '#test/kit/checkpoints'
import { JOB } from '#test/kit/commit-log'
import { planOf } from '#test/kit/job-world'
import { MemoryDisk } from '#test/kit/memory-stores'
import { reading, StoreFaults } from '#test/kit/store-faults'
import { WatchedClock } from '#test/kit/watched-clock'

const stateOf = (uid: string) => [
  { vertex: 'v', uids: [uid], subtasks: [{ keyGroups: [0, 128] as const, files: [Buffer.from(uid)] }] },
]

/** A job that has run once and completed checkpoint 3. */
async function ran(uid = 'v') {
  const disk = new MemoryDisk()
  const store = disk.stores().own
  const log = await CommitLog.open({
    store,
    clock: new WatchedClock(),
    random: Math.random,
    logger: silentLogger,
  })
  await log.ensureOwner(JOB)
  const term = await log.openEpoch({ run: 1, leader: 'jm', floor: 1 })
  const planHash = planOf(1).hash
  await term.append({
    kind: 'DEPLOY',
    attempt: '1.1',
    run: 1,
    planHash,
    restoreFrom: { kind: 'empty' },
    why: 'first',
  })
  const complete = async (id: number) => {
    const { own } = await storePoint(store, { type: 'checkpoint', id, vertices: stateOf(uid) })
    await term.append({
      kind: 'CHECKPOINT',
      id,
      epoch: 1,
      attempt: '1.1',
      base: 0,
      manifest: own.manifest,
      sha256: own.sha256,
      sizeBytes: 1,
      deltaBytes: 1,
      committedUpTo: id,
      retires: [],
      stats: {},
    })
  }
  await complete(3)
  const faults = new StoreFaults()
  const module = { name: 'job.ts', source: '', sha256: '', args: {} }
  const check = (restore?: RestoreOptions) =>
    checkRun({ job: JOB, run: 2, ...(restore === undefined ? {} : { restore }) }, disk.stores(faults), () =>
      Promise.resolve({ plan: planOf(1), parallelism: 1, maxParallelism: 128, module }),
    )
  return { disk, store, faults, complete, check }
}

describe('checkRun()', () => {
  test('says what the run would start from, and writes nothing', async () => {
    const { disk, check } = await ran()
    const before = [...disk.own.list('')].map(({ key }) => key)
    expect((await check()).from).toBe('file:///job/chk/3-1/manifest.json')
    expect([...disk.own.list('')].map(({ key }) => key)).toEqual(before)
  })

  test('looks at what is asked for where something is', async () => {
    const { disk, check } = await ran()
    await storePoint(disk.stores().at('file:///sp'), {
      type: 'savepoint',
      id: 1,
      directory: '',
      vertices: stateOf('v'),
    })
    expect((await check({ path: 'file:///sp', allowNonRestoredState: false })).from).toBe('file:///sp')
    await expect(check({ path: 'file:///none', allowNonRestoredState: false })).rejects.toThrow(
      'Cannot restore from file:///none',
    )
    expect((await check({ allowNonRestoredState: false })).from).toBeUndefined()
  })

  test('fails with what the leader of the run would fail with', async () => {
    const { check } = await ran('gone')
    await expect(check()).rejects.toMatchObject({
      code: 'CKP_RESTORE',
      message: expect.stringContaining('it holds state of "gone", which no operator of the job takes over'),
    })
  })

  test('looks again where the checkpoint was retired before it was read', async () => {
    const { disk, faults, complete, check } = await ran()
    let retired: Promise<void> | undefined
    faults.watch(reading('chk/3-1/'), () => {
      disk.own.delete('chk/3-1/manifest.json')
      retired ??= complete(4)
    })
    await expect(check()).resolves.toMatchObject({ from: 'file:///job/chk/4-1/manifest.json' })
    await retired
  })

  test('says so where a checkpoint that the log names is lost', async () => {
    const { disk, check } = await ran()
    disk.own.delete('chk/3-1/manifest.json')
    await expect(check()).rejects.toMatchObject({ code: 'STO_MISSING' })
  })

  test('does not know where the store does not answer: that may pass', async () => {
    const { faults, check } = await ran()
    faults.refuse(reading('chk/'))
    const error = await check().catch((cause: unknown) => cause)
    expect(error).toBeInstanceOf(WeirError)
    expect(error).toMatchObject({ code: 'STO_UNAVAILABLE', retry: 'backoff' })
  })
})
