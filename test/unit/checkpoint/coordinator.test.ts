import { describe, expect, test } from 'vitest'
import { WeirError } from '#runtime/base/errors'
import { silentLogger } from '#runtime/base/logger'
import { CheckpointCoordinator } from '#runtime/checkpoint/coordinator'
import { readManifest } from '#runtime/commit-log/manifest-io'
import type { StateFile, SubtaskState } from '#runtime/contract/checkpoint-records'
import type { Barrier, SubtaskAck, SubtaskRef } from '#runtime/contract/rpc'
import { MemoryObjects, MemoryStore, type MemoryHooks } from '#runtime/storage/memory-store'
import { stateFileKey } from '#runtime/storage/paths'
import { TestClock } from '#runtime/testing/test-clock'
import { manifestOf, subtaskAck, subtaskDecline } from '#test/kit/checkpoint'
import { append, deployBody, JOB, leadLog } from '#test/kit/commit-log'

const plan = {
  planHash: 'p',
  maxParallelism: 128,
  vertices: [
    { id: 'source', parallelism: 1 },
    { id: 'count', parallelism: 2 },
  ],
}
const SUBTASKS = [
  ['source', 0],
  ['count', 0],
  ['count', 1],
] as const
const defaults = { intervalMs: 1000, timeoutMs: 5000, minPauseMs: 100, tolerableFailures: 1, retain: 2 }

async function setup(
  overrides: Partial<typeof defaults> = {},
  restart?: { objects: MemoryObjects; clock: TestClock },
  storesElsewhere = true,
) {
  const clock = restart?.clock ?? new TestClock()
  const objects = restart?.objects ?? new MemoryObjects(() => clock.now())
  const elsewhere = new MemoryObjects()
  const hooks: MemoryHooks = {}
  const store = new MemoryStore({ objects, hooks, url: 'file:///job' })
  const { log, term } = await leadLog(store, { clock })
  const seen = {
    triggers: [] as Barrier[],
    completes: [] as number[],
    aborts: [] as number[],
    limits: [] as WeirError[],
    fenced: [] as WeirError[],
  }
  const coordinator = new CheckpointCoordinator({
    clock,
    random: Math.random,
    logger: silentLogger,
    store,
    term,
    job: JOB,
    options: { ...defaults, ...overrides },
    deleteGraceMs: 50,
    ...(storesElsewhere
      ? { openSavepointStore: (url: string) => new MemoryStore({ url, objects: elsewhere }) }
      : {}),
    send: {
      trigger: (_, barrier) => void seen.triggers.push(barrier),
      complete: (_, permit) => void seen.completes.push(permit.checkpointId),
      abort: (_, id) => void seen.aborts.push(id),
    },
    onFailureLimit: (e) => void seen.limits.push(e),
    onFenced: (e) => void seen.fenced.push(e),
    onChange: () => undefined,
  })
  const acked = new Map<string, SubtaskState>()
  const deploy = async (n: number) => {
    const attempt = `${term.epoch}.${n}`
    await append(term, deployBody(attempt, { restoreFrom: term.state.restorePoint }))
    coordinator.start({ ...plan, attempt, isRestored: false, highestId: 0 })
    await clock.runFor(0)
    return attempt
  }
  const file = async (barrier: Barrier, subtask: SubtaskRef, attempt: string): Promise<StateFile> => {
    const isSavepoint = barrier.kind === 'savepoint'
    const name = {
      ...subtask,
      attempt,
      part: 'state' as const,
      ...(isSavepoint ? { savepointId: barrier.id } : {}),
    }
    await store.create(stateFileKey(barrier.directory, name), new Uint8Array(8))
    const key = stateFileKey(isSavepoint ? '' : barrier.directory, name)
    return { key, sizeBytes: 8, sha256: `${barrier.id}`, writtenBy: barrier.id, mode: 'full' }
  }
  const ack = async (barrier: Barrier, vertex: string, subtask: number, change: Partial<SubtaskAck> = {}) => {
    const attempt = change.attempt ?? `${term.epoch}.1`
    const chain = [await file(barrier, { vertex, subtask }, attempt)]
    const state = { subtask, keyGroups: [0, 128] as [number, number], chain }
    acked.set(`${vertex}/${subtask}`, change.state ?? state)
    const { epoch } = term
    const own = {
      vertex,
      subtask,
      attempt,
      epoch,
      checkpointId: barrier.id,
      state,
      sizeBytes: 8,
      deltaBytes: 8,
    }
    coordinator.onAck(subtaskAck({ ...own, ...change }))
  }
  /** Every subtask acknowledges with what it acknowledged last: nothing has changed. */
  const ackUnchanged = async (barrier: Barrier, from = acked) => {
    for (const [vertex, subtask] of SUBTASKS) {
      const state = from.get(`${vertex}/${subtask}`) as SubtaskState
      const { epoch } = term
      const own = { vertex, subtask, epoch, checkpointId: barrier.id, state, sizeBytes: 8, deltaBytes: 0 }
      coordinator.onAck(subtaskAck(own))
    }
    await clock.runFor(0)
  }
  const ackAll = async (barrier: Barrier, change: Partial<SubtaskAck> = {}) => {
    for (const [vertex, subtask] of SUBTASKS) await ack(barrier, vertex, subtask, change)
    await clock.runFor(0)
  }
  return {
    clock,
    objects,
    elsewhere,
    hooks,
    store,
    log,
    term,
    coordinator,
    seen,
    deploy,
    ack,
    ackAll,
    ackUnchanged,
    acked,
  }
}

const lost = () => new WeirError('STO_UNAVAILABLE', 'no answer')

describe('CheckpointCoordinator', () => {
  test('triggers after an interval; when all acknowledge: manifest, record, tasks are told', async () => {
    const { clock, coordinator, seen, deploy, ack, ackAll, term, store } = await setup()
    const attempt = await deploy(1)
    await clock.runFor(999)
    expect(seen.triggers).toEqual([])
    await clock.runFor(1)
    expect(seen.triggers).toEqual([
      { epoch: 1, id: 1, base: 0, kind: 'checkpoint', directory: 'chk/1-1', stop: false, drain: false },
    ])
    expect(coordinator.phase).toBe('EXECUTING')
    await ack(seen.triggers[0]!, 'source', 0)
    await ack(seen.triggers[0]!, 'source', 0)
    expect(coordinator.history[0]).toMatchObject({
      status: 'IN_PROGRESS',
      num_acknowledged_subtasks: 1,
      num_subtasks: 3,
    })
    await ackAll(seen.triggers[0]!)
    expect(coordinator.phase).toBe('COMPLETED')
    expect(seen.completes).toEqual([1])
    expect(term.state.lastCheckpoint).toMatchObject({
      id: 1,
      epoch: 1,
      attempt,
      base: 0,
      committedUpTo: 1,
      retires: [],
      sizeBytes: 24,
      deltaBytes: 24,
    })
    const manifest = await readManifest(
      store,
      term.state.lastCheckpoint!.manifest,
      term.state.lastCheckpoint!.sha256,
    )
    expect(manifest.vertices.map((v) => [v.vertex, v.subtasks.length])).toEqual([
      ['source', 1],
      ['count', 2],
    ])
    expect(coordinator.counts).toEqual({ restored: 0, total: 1, in_progress: 0, completed: 1, failed: 0 })
    expect(coordinator.details(1)).toMatchObject({
      status: 'COMPLETED',
      subtasks: [{ vertex: 'source', upload_ms: 4 }, {}, {}],
    })
  })

  test('the next barrier names the last checkpoint as base; old files go after the grace', async () => {
    const { clock, seen, deploy, ackAll, term, objects } = await setup()
    await deploy(1)
    for (let i = 0; i < 4; i++) {
      await clock.runFor(1000)
      await ackAll(seen.triggers[i]!)
    }
    expect(seen.triggers.map((b) => b.base)).toEqual([0, 1, 2, 3])
    expect(term.state.retained.map((c) => c.id)).toEqual([3, 4])
    await clock.runFor(60)
    expect(new Set(objects.list('chk/').map((o) => o.key.split('/')[1]))).toEqual(new Set(['3-1', '4-1']))
  })

  test('while nothing changes a checkpoint is only its record, naming the manifest of its base', async () => {
    const { clock, coordinator, seen, deploy, ackAll, ackUnchanged, term, objects } = await setup()
    await deploy(1)
    await clock.runFor(1000)
    await ackAll(seen.triggers[0]!)
    const [first] = term.state.retained
    const written = () => objects.list('chk/').map((o) => o.key)
    const before = written()
    for (let i = 1; i < 6; i++) {
      await clock.runFor(1000)
      await ackUnchanged(seen.triggers[i]!)
    }
    expect(seen.completes).toEqual([1, 2, 3, 4, 5, 6])
    expect(seen.triggers.map((b) => b.base)).toEqual([0, 1, 2, 3, 4, 5])
    const { manifest, sha256 } = first!
    expect(term.state.retained).toMatchObject([
      { id: 5, base: 4, manifest, sha256, deltaBytes: 0, sizeBytes: 24 },
      { id: 6, base: 5, manifest, sha256, deltaBytes: 0, sizeBytes: 24 },
    ])
    expect(coordinator.details(6)).toMatchObject({ external_path: 'file:///job/chk/1-1', delta_size: 0 })
    await clock.runFor(60)
    expect(written()).toEqual(before)
    await clock.runFor(940)
    await ackAll(seen.triggers[6]!)
    expect(term.state.lastCheckpoint).toMatchObject({ id: 7, manifest: 'chk/7-1/manifest.json' })
  })

  test('a changed file on top of older ones is not foreign; a state that is gone is a change', async () => {
    const { clock, seen, deploy, ack, ackAll, ackUnchanged, acked, term } = await setup()
    await deploy(1)
    await clock.runFor(1000)
    await ackAll(seen.triggers[0]!)
    await clock.runFor(1000)
    await ackUnchanged(seen.triggers[1]!)
    await clock.runFor(1000)
    const [source, zero] = [acked.get('source/0')!, acked.get('count/0')!]
    await ack(seen.triggers[2]!, 'source', 0, { state: source })
    await ack(seen.triggers[2]!, 'count', 0, { state: { ...zero, chain: [] } })
    await ack(seen.triggers[2]!, 'count', 1)
    await clock.runFor(0)
    expect(term.state.lastCheckpoint).toMatchObject({ id: 3, manifest: 'chk/3-1/manifest.json' })
    await clock.runFor(1000)
    await ack(seen.triggers[3]!, 'source', 0, { state: source })
    await ack(seen.triggers[3]!, 'count', 0, { state: zero })
    await ack(seen.triggers[3]!, 'count', 1, { state: acked.get('count/1')! })
    await clock.runFor(0)
    expect(seen.aborts).toEqual([4])
  })

  test('a new leader goes on from an unchanged checkpoint and adds another without writing', async () => {
    const one = await setup()
    await one.deploy(1)
    await one.clock.runFor(1000)
    await one.ackAll(one.seen.triggers[0]!)
    await one.clock.runFor(1000)
    await one.ackUnchanged(one.seen.triggers[1]!)
    one.coordinator.close()
    const two = await setup({}, one)
    two.coordinator.start({ ...plan, attempt: '1.1', isRestored: false, highestId: 2 })
    await two.clock.runFor(1000)
    expect(two.seen.triggers).toMatchObject([{ epoch: 2, id: 3, base: 2 }])
    await two.ackUnchanged(two.seen.triggers[0]!, one.acked)
    const manifest = 'chk/1-1/manifest.json'
    expect(two.term.state.retained).toMatchObject([
      { id: 2, manifest },
      { id: 3, epoch: 2, manifest },
    ])
  })

  test('what a failed checkpoint left is deleted after an hour and a newer checkpoint', async () => {
    const { clock, seen, deploy, ack, ackAll, objects } = await setup({ intervalMs: 1_800_000 })
    await deploy(1)
    await clock.runFor(1_800_000)
    await ack(seen.triggers[0]!, 'count', 0)
    await clock.runFor(1_800_000)
    await ackAll(seen.triggers[1]!)
    expect(objects.list('chk/1-1/')).toHaveLength(1)
    for (let i = 2; i < 5; i++) {
      await clock.runFor(1_800_000)
      await ackAll(seen.triggers[i]!)
    }
    expect(objects.list('chk/1-1/')).toEqual([])
  })

  test('a file that is neither new nor of the base fails the checkpoint as CORRUPT_UPLOAD', async () => {
    const { clock, coordinator, seen, deploy, ack, term } = await setup()
    await deploy(1)
    await clock.runFor(1000)
    const foreign: StateFile = {
      key: 'chk/9-9/x.state',
      sizeBytes: 1,
      sha256: 'x',
      writtenBy: 9,
      mode: 'full',
    }
    await ack(seen.triggers[0]!, 'source', 0)
    await ack(seen.triggers[0]!, 'count', 0)
    await ack(seen.triggers[0]!, 'count', 1, {
      state: { subtask: 1, keyGroups: [64, 128], chain: [foreign] },
    })
    await clock.runFor(0)
    expect(coordinator.phase).toBe('FAILED')
    expect(coordinator.lastFailure).toMatchObject({ id: 1, reason: 'CORRUPT_UPLOAD' })
    expect(term.state.lastCheckpoint).toBeUndefined()
    expect(seen.aborts).toEqual([1])
  })

  test('expiry and declines fail it, and are tolerated up to a limit that counts them in a row', async () => {
    const { clock, coordinator, seen, deploy, ackAll } = await setup()
    await deploy(1)
    await clock.runFor(6000)
    expect(coordinator.lastFailure).toMatchObject({ id: 1, reason: 'CHECKPOINT_EXPIRED' })
    await ackAll(seen.triggers[1]!)
    expect(coordinator.consecutiveFailures).toBe(0)
    for (let i = 2; i < 4; i++) {
      await clock.runFor(1000)
      coordinator.onDecline(subtaskDecline({ checkpointId: seen.triggers[i]!.id }))
    }
    expect(seen.aborts).toEqual([1, 3, 4])
    expect(coordinator.history[0]).toMatchObject({ status: 'FAILED', failure_reason: 'CHECKPOINT_DECLINED' })
    expect(coordinator.history[0]?.failure_message).toContain('disk full')
    expect(seen.limits).toHaveLength(1)
  })

  test('late, foreign and repeated acknowledgements do not count; ids are not used again', async () => {
    const { clock, coordinator, seen, deploy, ackAll } = await setup()
    await deploy(1)
    await clock.runFor(1000)
    await ackAll({ ...seen.triggers[0]!, id: 40 })
    await ackAll(seen.triggers[0]!, { attempt: '1.9' })
    expect(coordinator.phase).toBe('EXECUTING')
    await clock.runFor(5000)
    expect(seen.triggers.map((b) => b.id)).toEqual([1, 41])
  })

  test('once the append is sent nothing aborts it: it completes when the store answers', async () => {
    const { clock, hooks, coordinator, seen, deploy, ackAll, term } = await setup()
    await deploy(1)
    await clock.runFor(1000)
    let down = true
    hooks.before = (_, key) => {
      if (down && key.startsWith('log/')) throw lost()
    }
    await ackAll(seen.triggers[0]!)
    expect(coordinator.phase).toBe('COMMITTING')
    let stopped = false
    void coordinator.stop('TASK_FAILURE').then(() => (stopped = true))
    await clock.runFor(20_000)
    expect(coordinator.phase).toBe('COMMITTING')
    expect([stopped, seen.aborts]).toEqual([false, []])
    await clock.runFor(100_000)
    expect(coordinator.phase).toBe('COMMITTING')
    down = false
    await clock.runFor(5000)
    expect(coordinator.phase).toBe('COMPLETED')
    expect(stopped).toBe(true)
    expect(term.state.restorePoint).toMatchObject({ kind: 'checkpoint', id: 1 })
    expect(seen.completes).toEqual([1])
  })

  test('an append whose answer was lost is recognised as its own', async () => {
    const { clock, hooks, coordinator, seen, deploy, ackAll, term } = await setup()
    await deploy(1)
    await clock.runFor(1000)
    let losses = 1
    hooks.after = (operation, key) => {
      if (operation === 'create' && key.startsWith('log/') && losses-- > 0) throw lost()
    }
    await ackAll(seen.triggers[0]!)
    await clock.runFor(1000)
    expect(coordinator.counts.completed).toBe(1)
    expect(term.state.retained.map((c) => c.id)).toEqual([1])
  })

  test('a deposed coordinator is fenced: the tasks are told nothing, requests are refused', async () => {
    const one = await setup()
    await one.deploy(1)
    await one.clock.runFor(1000)
    const asked = one.coordinator.request({ triggerId: 't', kind: 'savepoint' })
    const two = await setup({}, one)
    expect(two.term.epoch).toBe(2)
    await one.ackAll(one.seen.triggers[0]!)
    expect(one.coordinator.phase).toBe('ABORTED')
    expect(one.seen).toMatchObject({ completes: [], aborts: [], fenced: [{ code: 'FENCED' }] })
    await expect(asked).rejects.toMatchObject({ code: 'CKP_DECLINED', context: { reason: 'FENCED' } })
    await expect(one.coordinator.request({ triggerId: 'u', kind: 'checkpoint' })).rejects.toMatchObject({
      context: { reason: 'FENCED' },
    })
    await one.clock.runFor(10_000)
    expect(one.seen.triggers).toHaveLength(1)
  })

  test('stop() aborts what is in flight; the next attempt goes on above its id, without a base', async () => {
    const { clock, coordinator, seen, deploy, ackAll } = await setup()
    await deploy(1)
    await clock.runFor(1000)
    await ackAll(seen.triggers[0]!)
    await clock.runFor(1000)
    await coordinator.stop('TASK_FAILURE')
    expect([coordinator.phase, seen.aborts]).toEqual(['ABORTED', [2]])
    await deploy(2)
    await clock.runFor(1000)
    expect(seen.triggers.at(-1)).toMatchObject({ id: 3, base: 0 })
  })

  test('a savepoint is full, with relative keys, commits nothing, is no base or restore point', async () => {
    const { clock, coordinator, seen, deploy, ackAll, term, store } = await setup()
    await deploy(1)
    await clock.runFor(1000)
    await ackAll(seen.triggers[0]!)
    const asked = coordinator.request({ triggerId: 't', kind: 'savepoint' })
    expect(coordinator.request({ triggerId: 't', kind: 'savepoint' })).toBe(asked)
    expect(seen.triggers[1]).toMatchObject({
      id: 2,
      base: 0,
      kind: 'savepoint',
      stop: false,
      directory: 'savepoints/2-1',
    })
    await ackAll(seen.triggers[1]!)
    const result = await asked
    expect(result).toMatchObject({
      id: 2,
      type: 'savepoint',
      path: 'file:///job/savepoints/2-1',
      maxParallelism: 128,
    })
    expect(seen.completes).toEqual([1])
    expect(term.state.restorePoint).toMatchObject({ kind: 'checkpoint', id: 1 })
    const manifest = await readManifest(store, 'savepoints/2-1/manifest.json', result.sha256)
    expect(manifest.vertices[0]?.subtasks[0]?.chain[0]?.key).not.toContain('/')
    expect(await coordinator.request({ triggerId: 't', kind: 'savepoint' })).toEqual(result)
    await clock.runFor(1000)
    expect(seen.triggers[2]).toMatchObject({ id: 3, base: 1, kind: 'checkpoint' })
  })

  test('a failed savepoint does not count towards the limit; its id may be asked for again', async () => {
    const { clock, coordinator, seen, deploy, ackAll } = await setup({
      tolerableFailures: 0,
      intervalMs: 60_000,
    })
    await deploy(1)
    const asked = coordinator.request({ triggerId: 't', kind: 'savepoint' })
    await clock.runFor(5000)
    await expect(asked).rejects.toMatchObject({ context: { reason: 'CHECKPOINT_EXPIRED' } })
    expect(seen.limits).toEqual([])
    const again = coordinator.request({ triggerId: 't', kind: 'savepoint' })
    await ackAll(seen.triggers[1]!)
    expect(await again).toMatchObject({ id: 2 })
  })

  describe.each([
    ['inside the job storage', 'savepoints/mine', 'file:///job/savepoints/mine'],
    ['elsewhere', 's3://backups/mine', 's3://backups/mine'],
  ])('a savepoint %s', (_, path, url) => {
    const request = (triggerId: string) => ({ triggerId, kind: 'savepoint' as const, path })
    const at = (it: Awaited<ReturnType<typeof setup>>) =>
      path.startsWith('s3:') ? it.elsewhere.list('') : it.objects.list('savepoints/mine/')
    const names = (it: Awaited<ReturnType<typeof setup>>) =>
      at(it).map((o) => o.key.replace('savepoints/mine/', ''))

    test('that failed with its manifest written can be tried again at its place', async () => {
      const it = await setup({ intervalMs: 60_000 })
      await it.deploy(1)
      const failed = it.coordinator.request(request('t'))
      it.hooks.before = (operation, key) => {
        if (operation === 'create' && key.startsWith('log/')) throw new WeirError('STO_DENIED', 'read only')
      }
      await it.ackAll(it.seen.triggers[0]!)
      await expect(failed).rejects.toThrow('read only')
      expect(names(it)).toContain('manifest.json')
      delete it.hooks.before
      const again = it.coordinator.request(request('t'))
      await it.ackAll(it.seen.triggers[1]!)
      expect(await again).toMatchObject({ id: 2, path: url })
      expect(names(it)).toEqual([
        'count-0-1.1-2.state',
        'count-1-1.1-2.state',
        'manifest.json',
        'source-0-1.1-2.state',
      ])
    })

    test('that failed while its files were written can be tried again at the same place', async () => {
      const it = await setup({ intervalMs: 60_000 })
      await it.deploy(1)
      const failed = it.coordinator.request(request('t'))
      await it.ack(it.seen.triggers[0]!, 'count', 0)
      await it.clock.runFor(5000)
      await expect(failed).rejects.toMatchObject({ context: { reason: 'CHECKPOINT_EXPIRED' } })
      const again = it.coordinator.request(request('t'))
      await it.ackAll(it.seen.triggers[1]!)
      expect(await again).toMatchObject({ id: 2, path: url })
    })

    test('that is in the log is not overwritten by another at the same place', async () => {
      const it = await setup({ intervalMs: 60_000 })
      await it.deploy(1)
      const first = it.coordinator.request(request('a'))
      await it.ackAll(it.seen.triggers[0]!)
      await first
      const before = at(it)
      const second = it.coordinator.request(request('b'))
      await it.ackAll(it.seen.triggers[1]!)
      await expect(second).rejects.toThrow(
        /mine\/manifest.json is that of savepoint 1 of job default\/word-count.*another path/,
      )
      expect(at(it)).toEqual(expect.arrayContaining(before))
      if (path.startsWith('s3:')) expect(at(it)).toEqual(before)
      expect(it.term.state.savepoints.map((s) => s.id)).toEqual([1])
    })

    test.each([
      ['a savepoint of another job', { job: { namespace: 'default', name: 'other', uid: 'uid-9' } }],
      ['a checkpoint', { type: 'checkpoint' as const }],
    ])('does not overwrite %s', async (what, change) => {
      const it = await setup({ intervalMs: 60_000 })
      await it.deploy(1)
      const of = { id: 9, epoch: 1, attempt: '1.1', base: 0, kind: 'savepoint' } as const
      const bytes = Buffer.from(JSON.stringify(manifestOf(of, change)))
      if (path.startsWith('s3:')) it.elsewhere.create('manifest.json', bytes)
      else it.objects.create('savepoints/mine/manifest.json', bytes)
      const asked = it.coordinator.request(request('t'))
      await it.ackAll(it.seen.triggers[0]!)
      await expect(asked).rejects.toThrow(new RegExp(`is that of ${what.split(' ')[1]} 9 of job`))
      expect(names(it)).toContain('manifest.json')
      expect(it.term.state.savepoints).toEqual([])
    })
  })

  test('stop with savepoint commits and is the restore point; nothing is triggered behind it', async () => {
    const { clock, coordinator, seen, deploy, ackAll, term } = await setup()
    await deploy(1)
    const asked = coordinator.request({
      triggerId: 's',
      kind: 'savepoint',
      end: 'Suspended',
      path: 'savepoints/before-upgrade',
    })
    const behind = coordinator.request({ triggerId: 'b', kind: 'checkpoint' })
    expect(seen.triggers[0]).toMatchObject({
      kind: 'savepoint',
      stop: true,
      directory: 'savepoints/before-upgrade',
    })
    await ackAll(seen.triggers[0]!)
    expect(await asked).toMatchObject({ id: 1, path: 'file:///job/savepoints/before-upgrade' })
    expect(seen.completes).toEqual([1])
    expect(term.state.savepoints).toMatchObject([
      { id: 1, end: 'Suspended', manifest: 'savepoints/before-upgrade/manifest.json' },
    ])
    expect(term.state.restorePoint).toMatchObject({ kind: 'savepoint' })
    await clock.runFor(10_000)
    expect(seen.triggers).toHaveLength(1)
    await coordinator.stop('TASK_FAILURE')
    await expect(behind).rejects.toMatchObject({ context: { reason: 'TASK_FAILURE' } })
  })

  test.each([
    ['Finished', { stop: false, drain: false }],
    ['Suspended', { stop: true, drain: false }],
    ['Drained', { stop: true, drain: true }],
  ] as const)(
    'a run that ends as %s with a checkpoint says so in its record, and in its barrier what the tasks do',
    async (end, barrier) => {
      const { clock, coordinator, seen, deploy, ackAll, term } = await setup()
      await deploy(1)
      const asked = coordinator.request({ triggerId: 'e', kind: 'checkpoint', end })
      expect(seen.triggers[0]).toMatchObject({ kind: 'checkpoint', base: 0, ...barrier })
      await ackAll(seen.triggers[0]!)
      expect(await asked).toMatchObject({ id: 1, type: 'checkpoint' })
      expect(seen.completes).toEqual([1])
      expect(term.state.lastCheckpoint).toMatchObject({ end })
      expect(term.state.ending).toEqual({ status: end, id: 1 })
      await clock.runFor(10_000)
      expect(seen.triggers).toHaveLength(1)
    },
  )

  test('paths that reach into the log or out of the storage are refused at once', async () => {
    const { coordinator, deploy } = await setup({}, undefined, false)
    await deploy(1)
    for (const path of ['log/x', 'chk/1-1', '../x', 's3://other-bucket/x'])
      await expect(coordinator.request({ triggerId: path, kind: 'savepoint', path })).rejects.toMatchObject({
        code: 'CFG_INVALID',
      })
    expect(coordinator.phase).toBe('IDLE')
  })

  test('a savepoint outside the job storage is copied there; a plain one leaves no copy behind', async () => {
    const { elsewhere, coordinator, seen, deploy, ackAll, objects, term } = await setup({
      intervalMs: 60_000,
    })
    await deploy(1)
    const path = 's3://backups/mine'
    const asked = coordinator.request({ triggerId: 't', kind: 'savepoint', path })
    await ackAll(seen.triggers[0]!)
    expect(await asked).toMatchObject({ path })
    expect(elsewhere.list('').map((o) => o.key)).toEqual([
      'count-0-1.1-1.state',
      'count-1-1.1-1.state',
      'manifest.json',
      'source-0-1.1-1.state',
    ])
    expect(objects.list('savepoints/')).toEqual([])
    expect(term.state.savepoints).toMatchObject([{ id: 1, path, attempt: '1.1' }])
    expect(term.state.savepoints[0]?.manifest).toBeUndefined()
  })

  test('a stopping savepoint elsewhere leaves a copy in the job, from which it goes on', async () => {
    const { elsewhere, coordinator, seen, deploy, ackAll, objects, term } = await setup()
    await deploy(1)
    const path = 's3://backups/mine'
    const asked = coordinator.request({ triggerId: 't', kind: 'savepoint', end: 'Suspended', path })
    await ackAll(seen.triggers[0]!)
    expect(await asked).toMatchObject({ path })
    expect(elsewhere.list('')).toHaveLength(4)
    expect(objects.list('savepoints/1-1/')).toHaveLength(4)
    const manifest = 'savepoints/1-1/manifest.json'
    expect(term.state.restorePoint).toMatchObject({ kind: 'savepoint', path, manifest })
  })

  test('a new leader that adopts the attempt tells the last record again and builds on it', async () => {
    const one = await setup()
    await one.deploy(1)
    await one.clock.runFor(1000)
    await one.ackAll(one.seen.triggers[0]!)
    one.coordinator.close()
    const two = await setup({}, one)
    two.coordinator.start({ ...plan, attempt: '1.1', isRestored: false, highestId: 7 })
    expect(two.seen.completes).toEqual([1])
    expect(two.coordinator.history).toMatchObject([{ id: 1, status: 'COMPLETED', num_subtasks: 3 }])
    await two.clock.runFor(1000)
    expect(two.seen.triggers).toMatchObject([{ epoch: 2, id: 8, base: 1, directory: 'chk/8-2' }])
  })

  test('a definite refusal of the record by the store fails the checkpoint', async () => {
    const { clock, hooks, coordinator, seen, deploy, ackAll } = await setup()
    await deploy(1)
    await clock.runFor(1000)
    hooks.before = (operation, key) => {
      if (operation === 'create' && key.startsWith('log/')) throw new WeirError('STO_DENIED', 'read only')
    }
    await ackAll(seen.triggers[0]!)
    expect(coordinator.lastFailure).toMatchObject({ reason: 'FINALIZE_CHECKPOINT_FAILURE' })
    delete hooks.before
    await clock.runFor(1000)
    await ackAll(seen.triggers[1]!)
    expect(coordinator.counts).toMatchObject({ completed: 1, failed: 1 })
  })

  test('requests are refused while nothing runs, and after close', async () => {
    const { coordinator, deploy, clock, seen } = await setup()
    await expect(coordinator.request({ triggerId: 't', kind: 'checkpoint' })).rejects.toMatchObject({
      context: { reason: 'NOT_ALL_REQUIRED_TASKS_RUNNING' },
    })
    await deploy(1)
    coordinator.close()
    await clock.runFor(5000)
    expect(seen.triggers).toEqual([])
    await expect(coordinator.request({ triggerId: 't', kind: 'checkpoint' })).rejects.toMatchObject({
      context: { reason: 'COORDINATOR_SHUTDOWN' },
    })
  })

  describe('a pin', () => {
    async function completed(checkpoints: number, intervalMs = 1000) {
      const it = await setup({ retain: 2, intervalMs })
      await it.deploy(1)
      const complete = async (times = 1) => {
        for (let i = 0; i < times; i++) {
          await it.clock.runFor(intervalMs)
          await it.ackAll(it.seen.triggers.at(-1)!)
        }
      }
      await complete(checkpoints)
      const pin = (id: number, by = 'fork') => it.coordinator.pin({ path: `${it.store.url}/chk/${id}-1`, by })
      const retained = () => it.term.state.retained.map((c) => c.id)
      return { ...it, complete, pin, retained }
    }

    test('keeps a checkpoint with its files until it runs out; the next one then retires it', async () => {
      const HOUR_MS = 3_600_000
      const { complete, pin, retained, objects, clock } = await completed(2, 5 * HOUR_MS)
      const { id, until } = await pin(1)
      expect([id, until - clock.now()]).toEqual([1, 24 * HOUR_MS])
      await complete(4)
      expect(retained()).toEqual([1, 5, 6])
      expect(objects.list('chk/1-1/')).toHaveLength(4)
      await complete(1)
      await clock.runFor(60)
      expect(retained()).toEqual([6, 7])
      expect(objects.list('chk/1-1/')).toEqual([])
    })

    test('of the same holder replaces the one before', async () => {
      const { pin, term } = await completed(2)
      await pin(1, 'a')
      await pin(1, 'b')
      await pin(2, 'a')
      expect(term.state.pins.map(({ by, ids }) => [by, ids])).toEqual([
        ['b', [1]],
        ['a', [2]],
      ])
    })

    test('takes the URL of the manifest too', async () => {
      const { coordinator, store } = await completed(2)
      const path = `${store.url}/chk/2-1/manifest.json`
      expect(await coordinator.pin({ path, by: 'fork' })).toMatchObject({ id: 2 })
    })

    test('of what is not retained is refused, and says what is', async () => {
      const { pin, term, store } = await completed(4)
      const before = (await store.list('log/')).length
      const at = (id: number) => `${store.url}/chk/${id}-1`
      await expect(pin(1)).rejects.toMatchObject({
        code: 'CKP_RESTORE',
        message:
          `Cannot pin ${at(1)}: its job does not retain that checkpoint. It retains ` +
          `${at(3)}, ${at(4)}. Restore from one of these, or from a savepoint.`,
      })
      expect([term.state.pins, (await store.list('log/')).length]).toEqual([[], before])
    })

    test.each(['s3://elsewhere/job/chk/2-1', 'chk/2-1'])(
      'of %s, which is no checkpoint of this job, is refused',
      async (path) => {
        const { coordinator } = await completed(2)
        await expect(coordinator.pin({ path, by: 'fork' })).rejects.toMatchObject({ code: 'CFG_INVALID' })
      },
    )

    test('that is on its way into the log counts for a checkpoint that completes meanwhile', async () => {
      const { complete, pin, retained, hooks } = await completed(2)
      const gate = Promise.withResolvers<void>()
      hooks.before = (operation, key) =>
        operation === 'create' && key.startsWith('log/') ? gate.promise : undefined
      const pinned = pin(1)
      await complete()
      gate.resolve()
      await pinned
      await complete()
      expect(retained()).toContain(1)
    })

    test('that comes when the record which retires its checkpoint is on its way is refused', async () => {
      const { complete, pin, retained, hooks, clock } = await completed(2)
      const gate = Promise.withResolvers<void>()
      hooks.before = (operation, key) =>
        operation === 'create' && key.startsWith('log/') ? gate.promise : undefined
      await complete()
      const pinned = pin(1).catch((error: unknown) => error)
      gate.resolve()
      await clock.runFor(0)
      expect(await pinned).toMatchObject({ code: 'CKP_RESTORE', context: { retained: [2, 3] } })
      expect(retained()).toEqual([2, 3])
    })

    test('by a leader that is deposed is refused', async () => {
      const one = await completed(2)
      await setup({}, one)
      await expect(one.pin(1)).rejects.toMatchObject({ code: 'FENCED' })
    })
  })
})
