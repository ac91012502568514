/** What a deployment starts from, and what that is to the job: succession, rewind or fork. */
import { describe, expect, test } from 'vitest'
import { silentLogger } from '#runtime/base/logger'
import { CommitLog } from '#runtime/commit-log/commit-log'
import { emptyLog, type LogState } from '#runtime/commit-log/log-state'
import type { LogBody, RunEnd } from '#runtime/contract/checkpoint-records'
import type { JobIdentity } from '#runtime/contract/job-options'
import { chooseRestore, verifyRestore, type VerifyOptions } from '#runtime/restore/choose-restore-point'
import { storePoint } from '#test/kit/checkpoints'
import { JOB } from '#test/kit/commit-log'
import { planOf } from '#test/kit/job-world'
import { MemoryDisk } from '#test/kit/memory-stores'
import { reading, StoreFaults } from '#test/kit/store-faults'
import { WatchedClock } from '#test/kit/watched-clock'

const CHECKPOINT = {
  kind: 'checkpoint',
  id: 3,
  manifest: 'chk/3-1/manifest.json',
  sha256: 'ab',
} as const
const LOG: LogState = { ...emptyLog, restorePoint: CHECKPOINT }
const deployedIn = (run: number): LogState => ({
  ...LOG,
  deploy: {
    kind: 'DEPLOY',
    attempt: '1.1',
    run,
    planHash: 'p',
    restoreFrom: { kind: 'empty' },
    why: '',
    seq: 2,
    at: 0,
  },
})

describe('chooseRestore()', () => {
  const asked = { path: 's3://b/savepoints/1', allowNonRestoredState: false }
  test.each([
    ['the log’s own point when nothing is asked for', LOG, undefined, CHECKPOINT],
    ['what is asked for at the first deployment of the run', LOG, asked, { kind: 'asked', path: asked.path }],
    ['the log’s own point at every later one', deployedIn(2), asked, CHECKPOINT],
    [
      'what is asked for although the run before was deployed',
      deployedIn(1),
      asked,
      { kind: 'asked', path: asked.path },
    ],
    ['nothing, where an empty start is asked for', LOG, { allowNonRestoredState: false }, { kind: 'empty' }],
    ['nothing, where there is nothing', emptyLog, undefined, { kind: 'empty' }],
  ] as const)('chooses %s', (_, log, restore, chosen) => {
    expect(chooseRestore(log, 2, restore)).toEqual(chosen)
  })
})

const THEIRS: JobIdentity = { cluster: 'c', namespace: 'default', name: 'theirs', uid: 'uid-2' }
const VERTICES = [
  {
    vertex: 'v',
    uids: ['v'],
    states: [],
    subtasks: [{ keyGroups: [0, 128] as const, files: [Buffer.from('state')] }],
  },
]

/** Own checkpoint 3, and another job's log with the bodies given. */
async function stored(given: { log?: readonly LogBody[]; owner?: JobIdentity } = {}) {
  const disk = new MemoryDisk()
  const faults = new StoreFaults()
  const { own } = await storePoint(disk.stores().own, { type: 'checkpoint', id: 3, vertices: VERTICES })
  const theirs = disk.stores().at('file:///theirs')
  const checkpoint = await storePoint(theirs, {
    type: 'checkpoint',
    id: 5,
    uid: THEIRS.uid,
    vertices: VERTICES,
  })
  if (given.log !== undefined) {
    const clock = new WatchedClock()
    const log = await CommitLog.open({ store: theirs, clock, random: Math.random, logger: silentLogger })
    await log.ensureOwner(given.owner ?? THEIRS)
    const term = await log.openEpoch({ run: 1, leader: 'jm', floor: 1 })
    for (const body of given.log) expect((await term.append(body)).kind).toBe('appended')
  }
  const options: VerifyOptions = {
    stores: disk.stores(faults),
    job: JOB,
    log: { ...emptyLog, restorePoint: own },
    plan: planOf(1),
    allowNonRestoredState: false,
  }
  const verify = (path: string, more: Partial<VerifyOptions> = {}) =>
    verifyRestore({ kind: 'asked', path }, { ...options, ...more })
  return { disk, faults, own, theirs, checkpoint, options, verify }
}

const deploy: LogBody = {
  kind: 'DEPLOY',
  attempt: '1.1',
  run: 1,
  planHash: 'p',
  restoreFrom: { kind: 'empty' },
  why: '',
}
const completed = (id: number, sha256: string, end?: RunEnd): LogBody => ({
  kind: 'CHECKPOINT',
  id,
  epoch: 1,
  attempt: '1.1',
  base: 0,
  manifest: `chk/${id}-1/manifest.json`,
  sha256,
  sizeBytes: 1,
  deltaBytes: 1,
  committedUpTo: id,
  retires: [],
  stats: {},
  ...(end === undefined ? {} : { end }),
})
const close = (committedUpTo: number): LogBody => ({
  kind: 'CLOSE',
  run: 1,
  status: 'Suspended',
  committedUpTo,
})

describe('verifyRestore() of a point that the log names', () => {
  test('reads its manifest and gives its URL', async () => {
    const { own, options } = await stored()
    expect(await verifyRestore(own, options)).toEqual({
      point: own,
      url: 'file:///job/chk/3-1/manifest.json',
    })
  })

  test('of nothing gives nothing', async () => {
    const { options } = await stored()
    expect(await verifyRestore({ kind: 'empty' }, options)).toEqual({
      point: { kind: 'empty' },
      url: undefined,
    })
  })

  test('refuses a damaged manifest, naming it', async () => {
    const { disk, own, options } = await stored()
    disk.own.overwrite('chk/3-1/manifest.json', Buffer.from('{}'))
    await expect(verifyRestore(own, options)).rejects.toMatchObject({
      code: 'STO_CORRUPT',
      message: expect.stringMatching(/file:\/\/\/job\/chk\/3-1\/manifest.json/),
    })
  })
})

describe('verifyRestore() of a path that somebody asks for', () => {
  test.each(['file:///job/chk/3-1', 'file:///job/chk/3-1/', 'file:///job/chk/3-1/manifest.json'])(
    'is a succession where it is the newest own point: %s',
    async (path) => {
      const { own, verify } = await stored()
      expect((await verify(path)).point).toEqual(own)
    },
  )

  test('is a rewind where it is an earlier own point', async () => {
    const { disk, verify } = await stored()
    await storePoint(disk.stores().own, { type: 'checkpoint', id: 2, vertices: VERTICES })
    expect((await verify('file:///job/chk/2-1')).point).toEqual({
      kind: 'savepoint',
      path: 'file:///job/chk/2-1',
      lineage: 'rewind',
      committedUpTo: 0,
    })
  })

  test('is a rewind where it is an own savepoint elsewhere', async () => {
    const { disk, verify } = await stored()
    const elsewhere = disk.stores().at('file:///backup/1')
    await storePoint(elsewhere, { type: 'savepoint', id: 2, directory: '', vertices: VERTICES })
    expect((await verify('file:///backup/1')).point).toMatchObject({ lineage: 'rewind' })
  })

  test('is a fork where the other job goes on', async () => {
    const { checkpoint, verify } = await stored()
    expect((await verify(checkpoint.url)).point).toMatchObject({ lineage: 'fork', committedUpTo: 0 })
    const going = await stored({ log: [deploy, completed(5, 'cd')] })
    expect((await going.verify(going.checkpoint.url)).point).toMatchObject({ lineage: 'fork' })
  })

  test('is a succession if the other job ended with it, committed as far as its log says', async () => {
    const { checkpoint, verify } = await stored({
      log: [deploy, completed(5, 'cd', 'Suspended'), close(5)],
    })
    expect((await verify(checkpoint.url)).point).toEqual({
      kind: 'savepoint',
      path: 'file:///theirs/chk/5-1',
      lineage: 'succession',
      committedUpTo: 5,
    })
  })

  test('is a fork where the other job has ended with a newer point', async () => {
    const { checkpoint, verify } = await stored({
      log: [deploy, completed(5, 'cd'), completed(6, 'ef', 'Suspended'), close(6)],
    })
    expect((await verify(checkpoint.url)).point).toMatchObject({ lineage: 'fork' })
  })

  test('is a fork where the log beside it is of yet another job', async () => {
    const { checkpoint, verify } = await stored({
      owner: { ...THEIRS, uid: 'uid-3' },
      log: [deploy, completed(5, 'cd', 'Suspended'), close(5)],
    })
    expect((await verify(checkpoint.url)).point).toMatchObject({ lineage: 'fork' })
  })

  test('is a succession where it is the savepoint that the other job was stopped with', async () => {
    const { theirs, verify } = await stored({
      log: [
        deploy,
        {
          kind: 'SAVEPOINT',
          id: 7,
          path: 'file:///theirs/savepoints/7-1',
          sha256: 'ab',
          sizeBytes: 1,
          attempt: '1.1',
          end: 'Suspended',
          manifest: 'chk/7-1/manifest.json',
        },
        close(7),
      ],
    })
    const directory = 'savepoints/7-1'
    await storePoint(theirs, {
      type: 'savepoint',
      id: 7,
      directory,
      uid: THEIRS.uid,
      vertices: VERTICES,
    })
    expect((await verify('file:///theirs/savepoints/7-1')).point).toMatchObject({
      lineage: 'succession',
      committedUpTo: 7,
    })
  })

  test('does not take a log that cannot be read now for one that is not there', async () => {
    const { checkpoint, faults, verify } = await stored({
      log: [deploy, completed(5, 'cd', 'Suspended'), close(5)],
    })
    const mended = faults.refuse(reading('log/'))
    await expect(verify(checkpoint.url)).rejects.toMatchObject({ code: 'STO_UNAVAILABLE' })
    mended()
    expect((await verify(checkpoint.url)).point).toMatchObject({ lineage: 'succession' })
  })

  test('says that nothing is there, and what to give', async () => {
    const { verify } = await stored()
    await expect(verify('file:///nowhere')).rejects.toMatchObject({
      code: 'CKP_RESTORE',
      message: expect.stringMatching(/there is no file:\/\/\/nowhere\/manifest.json. Give the directory/),
    })
    await expect(verify('nonsense')).rejects.toMatchObject({ code: 'CFG_INVALID' })
  })
})

describe('verifyRestore() refuses state that the plan cannot take over', () => {
  test('of another maxParallelism', async () => {
    const { own, options } = await stored()
    const plan = { ...planOf(1), maxParallelism: 64 }
    await expect(verifyRestore(own, { ...options, plan })).rejects.toMatchObject({
      code: 'CKP_RESTORE',
      message: expect.stringMatching(/taken with maxParallelism 128, the job has 64.*set it back to 128/),
    })
  })

  test('of an operator that is gone, unless that is allowed or it has a new name', async () => {
    const { own, options } = await stored()
    const [vertex] = planOf(1).vertices
    const named = (uid: string, formerly: string[] = []) => ({
      ...planOf(1),
      vertices:
        vertex === undefined
          ? []
          : [{ ...vertex, operators: vertex.operators.map((o) => ({ ...o, uid, formerly })) }],
    })
    const plan = named('w')
    await expect(verifyRestore(own, { ...options, plan })).rejects.toMatchObject({
      code: 'CKP_RESTORE',
      message: expect.stringMatching(/holds state of "v", which no operator/),
    })
    await expect(verifyRestore(own, { ...options, plan, allowNonRestoredState: true })).resolves.toBeDefined()
    await expect(verifyRestore(own, { ...options, plan: named('w', ['v']) })).resolves.toBeDefined()
  })
})
