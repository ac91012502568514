import { describe, expect, test } from 'vitest'
import { WeirError } from '#runtime/base/errors'
import { silentLogger } from '#runtime/base/logger'
import { CommitLog } from '#runtime/commit-log/commit-log'
import { CheckpointCoordinator } from '#runtime/checkpoint/coordinator'
import { readManifest } from '#runtime/commit-log/manifest-io'
import type { StateFile } from '#runtime/contract/checkpoint-records'
import type { Barrier, SubtaskAck } from '#runtime/contract/rpc'
import { MemoryObjects, MemoryStore, type MemoryHooks } from '#runtime/storage/memory-store'
import { stateFileKey } from '#runtime/storage/paths'
import { VirtualClock } from '#sim/virtual-clock'

const job = { cluster: 'c', namespace: 'n', name: 'j', uid: 'u' }
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
  restart?: { objects: MemoryObjects; clock: VirtualClock },
) {
  const clock = restart?.clock ?? new VirtualClock()
  const objects = restart?.objects ?? new MemoryObjects(() => clock.now())
  const hooks: MemoryHooks = {}
  const store = new MemoryStore({ objects, hooks, url: 'memory://job' })
  let n = 0
  const random = () => (n = (n + 0.137) % 1)
  const log = await CommitLog.open({ store, clock, random, logger: silentLogger })
  await log.ensureOwner(job)
  const epoch = await log.openEpoch({ run: 1, leader: 'a', floor: 1 })
  const seen = {
    triggers: [] as Barrier[],
    completes: [] as number[],
    aborts: [] as number[],
    limits: [] as WeirError[],
    fenced: [] as WeirError[],
  }
  const coordinator = new CheckpointCoordinator({
    clock,
    random,
    logger: silentLogger,
    store,
    log,
    job,
    options: { ...defaults, ...overrides },
    deleteGraceMs: 50,
    send: {
      trigger: (_, barrier) => void seen.triggers.push(barrier),
      complete: (_, permit) => void seen.completes.push(permit.checkpointId),
      abort: (_, id) => void seen.aborts.push(id),
    },
    onFailureLimit: (e) => void seen.limits.push(e),
    onFenced: (e) => void seen.fenced.push(e),
    onChange: () => undefined,
  })
  const deploy = async (n: number) => {
    const attempt = `${epoch}.${n}`
    const restoreFrom = log.state.restorePoint
    await log.append({ kind: 'DEPLOY', attempt, run: 1, planHash: 'p', restoreFrom, why: 'test' })
    coordinator.start({ ...plan, attempt })
    await clock.advance(0)
    return attempt
  }
  const file = async (
    barrier: Barrier,
    vertex: string,
    subtask: number,
    attempt: string,
  ): Promise<StateFile> => {
    const key = stateFileKey(barrier.directory, vertex, subtask, attempt)
    await store.create(key, new Uint8Array(8))
    return { key, sizeBytes: 8, sha256: `${barrier.id}`, writtenBy: barrier.id, mode: 'full' }
  }
  const ack = async (barrier: Barrier, vertex: string, subtask: number, change: Partial<SubtaskAck> = {}) => {
    const attempt = change.attempt ?? `${epoch}.1`
    const chain = [await file(barrier, vertex, subtask, attempt)]
    const state = { subtask, keyGroups: [0, 128] as [number, number], chain }
    const times = { alignmentMs: 1, syncMs: 2, asyncMs: 3, uploadMs: 4 }
    coordinator.onAck({
      vertex,
      subtask,
      attempt,
      epoch,
      checkpointId: barrier.id,
      uids: [vertex],
      state,
      sizeBytes: 8,
      deltaBytes: 8,
      ...times,
      ...change,
    })
  }
  const ackAll = async (barrier: Barrier, change: Partial<SubtaskAck> = {}) => {
    for (const [vertex, subtask] of SUBTASKS) await ack(barrier, vertex, subtask, change)
    await clock.advance(0)
  }
  return { clock, objects, hooks, store, log, epoch, coordinator, seen, deploy, ack, ackAll }
}

const lost = () => new WeirError('STO_UNAVAILABLE', 'no answer')

describe('CheckpointCoordinator', () => {
  test('triggers after an interval and completes when every subtask has acknowledged: manifest, record, then the tasks are told', async () => {
    const { clock, coordinator, seen, deploy, ack, ackAll, log, store } = await setup()
    const attempt = await deploy(1)
    await clock.advance(999)
    expect(seen.triggers).toEqual([])
    await clock.advance(1)
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
    expect(log.state.lastCheckpoint).toMatchObject({
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
      log.state.lastCheckpoint!.manifest,
      log.state.lastCheckpoint!.sha256,
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

  test('the next barrier names the last completed checkpoint of the attempt as base; old ones are retired and their files deleted after the grace', async () => {
    const { clock, seen, deploy, ackAll, log, objects } = await setup()
    await deploy(1)
    for (let i = 0; i < 4; i++) {
      await clock.advance(1000)
      await ackAll(seen.triggers[i]!)
    }
    expect(seen.triggers.map((b) => b.base)).toEqual([0, 1, 2, 3])
    expect(log.state.retained.map((c) => c.id)).toEqual([3, 4])
    await clock.advance(60)
    expect(new Set(objects.list('chk/').map((o) => o.key.split('/')[1]))).toEqual(new Set(['3-1', '4-1']))
  })

  test('a file that is neither new nor of the base fails the checkpoint as CORRUPT_UPLOAD', async () => {
    const { clock, coordinator, seen, deploy, ack, log } = await setup()
    await deploy(1)
    await clock.advance(1000)
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
    await clock.advance(0)
    expect(coordinator.phase).toBe('FAILED')
    expect(coordinator.lastFailure).toMatchObject({ id: 1, reason: 'CORRUPT_UPLOAD' })
    expect(log.state.lastCheckpoint).toBeUndefined()
    expect(seen.aborts).toEqual([1])
  })

  test('expiry and declines fail it; one more than tolerated in a row reaches the limit; a success in between starts over', async () => {
    const { clock, coordinator, seen, deploy, ackAll } = await setup()
    await deploy(1)
    await clock.advance(6000)
    expect(coordinator.lastFailure).toMatchObject({ id: 1, reason: 'CHECKPOINT_EXPIRED' })
    await ackAll(seen.triggers[1]!)
    expect(coordinator.consecutiveFailures).toBe(0)
    for (let i = 2; i < 4; i++) {
      await clock.advance(1000)
      coordinator.onDecline({
        attempt: '1.1',
        epoch: 1,
        checkpointId: seen.triggers[i]!.id,
        vertex: 'count',
        subtask: 0,
        reason: 'CHECKPOINT_DECLINED',
        error: { code: 'STO_UNAVAILABLE', message: 'disk full', retry: 'backoff', context: {} },
      })
    }
    expect(seen.aborts).toEqual([1, 3, 4])
    expect(coordinator.history[0]).toMatchObject({ status: 'FAILED', failure_reason: 'CHECKPOINT_DECLINED' })
    expect(coordinator.history[0]?.failure_message).toContain('disk full')
    expect(seen.limits).toHaveLength(1)
  })

  test('late acknowledgements, those of another attempt and duplicates count for nothing, but their ids are never used again', async () => {
    const { clock, coordinator, seen, deploy, ackAll } = await setup()
    await deploy(1)
    await clock.advance(1000)
    await ackAll({ ...seen.triggers[0]!, id: 40 })
    await ackAll(seen.triggers[0]!, { attempt: '1.9' })
    expect(coordinator.phase).toBe('EXECUTING')
    await clock.advance(5000)
    expect(seen.triggers.map((b) => b.id)).toEqual([1, 41])
  })

  test('once the append was sent, neither expiry nor the loss of the attempt aborts it: it completes when the store answers', async () => {
    const { clock, hooks, coordinator, seen, deploy, ackAll, log } = await setup()
    await deploy(1)
    await clock.advance(1000)
    let down = true
    hooks.before = (_, key) => {
      if (down && key.startsWith('log/')) throw lost()
    }
    await ackAll(seen.triggers[0]!)
    expect(coordinator.phase).toBe('COMMITTING')
    let stopped = false
    void coordinator.stop('TASK_FAILURE').then(() => (stopped = true))
    await clock.advance(20_000)
    expect(coordinator.phase).toBe('COMMITTING')
    expect([stopped, seen.aborts]).toEqual([false, []])
    await clock.advance(100_000)
    expect(coordinator.phase).toBe('COMMITTING')
    down = false
    await clock.advance(5000)
    expect(coordinator.phase).toBe('COMPLETED')
    expect(stopped).toBe(true)
    expect(log.state.restorePoint).toMatchObject({ kind: 'checkpoint', id: 1 })
    expect(seen.completes).toEqual([1])
  })

  test('an append whose answer was lost is recognised as its own', async () => {
    const { clock, hooks, coordinator, seen, deploy, ackAll, log } = await setup()
    await deploy(1)
    await clock.advance(1000)
    let losses = 1
    hooks.after = (operation, key) => {
      if (operation === 'create' && key.startsWith('log/') && losses-- > 0) throw lost()
    }
    await ackAll(seen.triggers[0]!)
    await clock.advance(1000)
    expect(coordinator.counts.completed).toBe(1)
    expect(log.state.retained.map((c) => c.id)).toEqual([1])
  })

  test('a deposed coordinator cannot complete: its append is fenced, nothing is told to the tasks, requests are refused', async () => {
    const one = await setup()
    await one.deploy(1)
    await one.clock.advance(1000)
    const asked = one.coordinator.request({ triggerId: 't', type: 'savepoint' })
    const two = await setup({}, one)
    expect(two.epoch).toBe(2)
    await one.ackAll(one.seen.triggers[0]!)
    expect(one.coordinator.phase).toBe('ABORTED')
    expect(one.seen).toMatchObject({ completes: [], aborts: [], fenced: [{ code: 'FENCED' }] })
    await expect(asked).rejects.toMatchObject({ code: 'CKP_DECLINED', context: { reason: 'FENCED' } })
    await expect(one.coordinator.request({ triggerId: 'u', type: 'checkpoint' })).rejects.toMatchObject({
      context: { reason: 'FENCED' },
    })
    await one.clock.advance(10_000)
    expect(one.seen.triggers).toHaveLength(1)
  })

  test('stop() aborts what is in flight, ids go on above it, and the next attempt starts without a base', async () => {
    const { clock, coordinator, seen, deploy, ackAll } = await setup()
    await deploy(1)
    await clock.advance(1000)
    await ackAll(seen.triggers[0]!)
    await clock.advance(1000)
    await coordinator.stop('TASK_FAILURE')
    expect([coordinator.phase, seen.aborts]).toEqual(['ABORTED', [2]])
    await deploy(2)
    await clock.advance(1000)
    expect(seen.triggers.at(-1)).toMatchObject({ id: 3, base: 0 })
  })

  test('a savepoint is full, in its own directory with relative keys, commits nothing, and is neither base nor restore point', async () => {
    const { clock, coordinator, seen, deploy, ackAll, log, store } = await setup()
    await deploy(1)
    await clock.advance(1000)
    await ackAll(seen.triggers[0]!)
    const asked = coordinator.request({ triggerId: 't', type: 'savepoint' })
    expect(coordinator.request({ triggerId: 't', type: 'savepoint' })).toBe(asked)
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
      path: 'memory://job/savepoints/2-1',
      maxParallelism: 128,
    })
    expect(seen.completes).toEqual([1])
    expect(log.state.restorePoint).toMatchObject({ kind: 'checkpoint', id: 1 })
    const manifest = await readManifest(store, 'savepoints/2-1/manifest.json', result.sha256)
    expect(manifest.vertices[0]?.subtasks[0]?.chain[0]?.key).not.toContain('/')
    expect(await coordinator.request({ triggerId: 't', type: 'savepoint' })).toEqual(result)
    await clock.advance(1000)
    expect(seen.triggers[2]).toMatchObject({ id: 3, base: 1, kind: 'checkpoint' })
  })

  test('a failed savepoint does not count towards the failure limit and may be asked for again under the same id', async () => {
    const { clock, coordinator, seen, deploy, ackAll } = await setup({
      tolerableFailures: 0,
      intervalMs: 60_000,
    })
    await deploy(1)
    const asked = coordinator.request({ triggerId: 't', type: 'savepoint' })
    await clock.advance(5000)
    await expect(asked).rejects.toMatchObject({ context: { reason: 'CHECKPOINT_EXPIRED' } })
    expect(seen.limits).toEqual([])
    const again = coordinator.request({ triggerId: 't', type: 'savepoint' })
    await ackAll(seen.triggers[1]!)
    expect(await again).toMatchObject({ id: 2 })
  })

  test('stop with savepoint commits, becomes the restore point, and nothing is triggered behind it', async () => {
    const { clock, coordinator, seen, deploy, ackAll, log } = await setup()
    await deploy(1)
    const asked = coordinator.request({ triggerId: 's', type: 'stop', path: 'savepoints/before-upgrade' })
    const behind = coordinator.request({ triggerId: 'b', type: 'checkpoint' })
    expect(seen.triggers[0]).toMatchObject({
      kind: 'savepoint',
      stop: true,
      directory: 'savepoints/before-upgrade',
    })
    await ackAll(seen.triggers[0]!)
    expect(await asked).toMatchObject({ id: 1, path: 'memory://job/savepoints/before-upgrade' })
    expect(seen.completes).toEqual([1])
    expect(log.state.savepoints).toMatchObject([
      { id: 1, stop: true, manifest: 'savepoints/before-upgrade/manifest.json' },
    ])
    expect(log.state.restorePoint).toMatchObject({ kind: 'savepoint' })
    await clock.advance(10_000)
    expect(seen.triggers).toHaveLength(1)
    await coordinator.stop('JOB_FAILURE')
    await expect(behind).rejects.toMatchObject({ context: { reason: 'JOB_FAILURE' } })
  })

  test('stop with checkpoint and a final checkpoint are CHECKPOINT records', async () => {
    const { coordinator, seen, deploy, ackAll, log } = await setup()
    await deploy(1)
    const final = coordinator.request({ triggerId: 'f', type: 'checkpoint', final: true })
    await ackAll(seen.triggers[0]!)
    expect(await final).toMatchObject({ id: 1, type: 'checkpoint' })
    expect(log.state.lastCheckpoint).toMatchObject({ final: true })
    await coordinator.stop('JOB_FAILURE')
    await deploy(2)
    const stop = coordinator.request({ triggerId: 's', type: 'stop', drain: true })
    expect(seen.triggers[1]).toMatchObject({ kind: 'checkpoint', stop: true, drain: true, base: 0 })
    await ackAll(seen.triggers[1]!, { attempt: '1.2' })
    expect(await stop).toMatchObject({ id: 2 })
  })

  test('paths that reach into the log or out of the storage are refused at once', async () => {
    const { coordinator, deploy } = await setup()
    await deploy(1)
    for (const path of ['log/x', 'chk/1-1', '../x', 's3://other-bucket/x'])
      await expect(coordinator.request({ triggerId: path, type: 'savepoint', path })).rejects.toMatchObject({
        code: 'CFG_INVALID',
      })
    expect(coordinator.phase).toBe('IDLE')
  })

  test('a savepoint outside the job storage is copied there; a plain one leaves no copy behind', async () => {
    const target = new MemoryObjects()
    const one = await setup({ intervalMs: 60_000 })
    const coordinator = new CheckpointCoordinator({
      clock: one.clock,
      random: () => 0.5,
      logger: silentLogger,
      store: one.store,
      log: one.log,
      job,
      options: { ...defaults, intervalMs: 60_000 },
      send: {
        trigger: (_, barrier) => void one.seen.triggers.push(barrier),
        complete: () => undefined,
        abort: () => undefined,
      },
      onFailureLimit: () => undefined,
      onFenced: () => undefined,
      onChange: () => undefined,
      openSavepointStore: (url) => new MemoryStore({ url, objects: target }),
    })
    await one.deploy(1)
    coordinator.start({ ...plan, attempt: '1.1' })
    const asked = coordinator.request({ triggerId: 't', type: 'savepoint', path: 's3://backups/mine' })
    const barrier = one.seen.triggers[0]!
    for (const [vertex, subtask] of SUBTASKS) {
      const key = stateFileKey(barrier.directory, vertex, subtask, '1.1')
      await one.store.create(key, new Uint8Array(8))
      const chain: StateFile[] = [{ key, sizeBytes: 8, sha256: 'x', writtenBy: 1, mode: 'full' }]
      const times = { alignmentMs: 0, syncMs: 0, asyncMs: 0, uploadMs: 0 }
      const state = { subtask, keyGroups: [0, 1] as [number, number], chain }
      coordinator.onAck({
        vertex,
        subtask,
        attempt: '1.1',
        epoch: 1,
        checkpointId: 1,
        uids: [],
        state,
        sizeBytes: 8,
        deltaBytes: 8,
        ...times,
      })
    }
    await one.clock.advance(0)
    expect(await asked).toMatchObject({ path: 's3://backups/mine' })
    expect(target.list('').map((o) => o.key)).toContain('manifest.json')
    expect(target.list('')).toHaveLength(4)
    expect(one.objects.list('savepoints/')).toEqual([])
  })

  test('a new leader that adopts the attempt tells the tasks of the last record again and builds on it', async () => {
    const one = await setup()
    await one.deploy(1)
    await one.clock.advance(1000)
    await one.ackAll(one.seen.triggers[0]!)
    one.coordinator.close()
    const two = await setup({}, one)
    two.coordinator.start({ ...plan, attempt: '1.1', highestId: 7 })
    expect(two.seen.completes).toEqual([1])
    expect(two.coordinator.history).toMatchObject([{ id: 1, status: 'COMPLETED', num_subtasks: 3 }])
    await two.clock.advance(1000)
    expect(two.seen.triggers).toMatchObject([{ epoch: 2, id: 8, base: 1, directory: 'chk/8-2' }])
  })

  test('a definite refusal of the record by the store fails the checkpoint', async () => {
    const { clock, hooks, coordinator, seen, deploy, ackAll } = await setup()
    await deploy(1)
    await clock.advance(1000)
    hooks.before = (operation, key) => {
      if (operation === 'create' && key.startsWith('log/')) throw new WeirError('STO_DENIED', 'read only')
    }
    await ackAll(seen.triggers[0]!)
    expect(coordinator.lastFailure).toMatchObject({ reason: 'FINALIZE_CHECKPOINT_FAILURE' })
    delete hooks.before
    await clock.advance(1000)
    await ackAll(seen.triggers[1]!)
    expect(coordinator.counts).toMatchObject({ completed: 1, failed: 1 })
  })

  test('requests are refused while nothing runs, and after close', async () => {
    const { coordinator, deploy, clock, seen } = await setup()
    await expect(coordinator.request({ triggerId: 't', type: 'checkpoint' })).rejects.toMatchObject({
      context: { reason: 'NOT_ALL_REQUIRED_TASKS_RUNNING' },
    })
    await deploy(1)
    coordinator.close()
    await clock.advance(5000)
    expect(seen.triggers).toEqual([])
    await expect(coordinator.request({ triggerId: 't', type: 'checkpoint' })).rejects.toMatchObject({
      context: { reason: 'COORDINATOR_SHUTDOWN' },
    })
  })
})
