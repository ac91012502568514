/** One attempt on a real TaskManager: its parts, its peers, its uploads, its end. */
import { describe, expect, test } from 'vitest'
import { toErrorData, WeirError } from '#runtime/base/errors'
import type { RestorePoint } from '#runtime/contract/checkpoint-records'
import type { ExecutionPlan } from '#runtime/contract/job-plan'
import { MAX_FRAME_BYTES } from '#runtime/net/transport'
import type { FromSlot } from '#runtime/task/slot-messages'
import { storePoint } from '#test/kit/checkpoints'
import { planOf } from '#test/kit/job-world'
import { creating, reading } from '#test/kit/store-faults'
import { TaskWorld, type TaskManagerUnderTest } from '#test/kit/task-world'

const subtask = { vertex: 'v', subtask: 0 }
const userError = toErrorData(new WeirError('USR_FAILED', 'map threw'))
const NOBODY = '127.0.0.1:9'

/** Two vertices whose subtasks all exchange records. */
const exchanging = (parallelism: number): ExecutionPlan => {
  const [vertex] = planOf(parallelism).vertices
  return {
    ...planOf(parallelism, 'plan'),
    vertices: ['a', 'b'].map((id) => ({ ...(vertex as NonNullable<typeof vertex>), id })),
    edges: [{ id: 0, from: 'a', to: 'b', partition: 'hash', fromOperator: 0 }],
  }
}

async function single(world: TaskWorld) {
  const leader = await world.jobManager()
  const tm = await world.taskManager()
  const deploy = async (restore: RestorePoint = { kind: 'empty' }) => {
    const deployment = world.deployment('1.1', { 'tm-1': tm.dataAddress }, { restore })
    leader.send({ type: 'deploy', epoch: 1, deployment })
    await world.settle()
    return slotOf(tm)
  }
  return { leader, tm, deploy }
}

/** The slot of the attempt under way; before it is deployed to, there is none. */
const slotOf = (tm: TaskManagerUnderTest) => tm.slots.deployed[0] as (typeof tm.slots.deployed)[0]

async function running(world: TaskWorld) {
  const { leader, tm, deploy } = await single(world)
  const slot = await deploy()
  leader.send({ type: 'start', epoch: 1, attempt: '1.1' })
  await world.settle()
  return { leader, tm, slot }
}

/** A checkpoint of vertex v with one file of each size. */
async function checkpointed(world: TaskWorld, sizes: readonly number[]): Promise<RestorePoint> {
  const files = sizes.map((size, i) => Buffer.alloc(size, i))
  const vertices = [
    { vertex: 'v', uids: ['v'], states: [], subtasks: [{ keyGroups: [0, 128] as const, files }] },
  ]
  return (await storePoint(world.disk.stores().own, { type: 'checkpoint', id: 1, vertices })).own
}

describe('an attempt whose peer', () => {
  /** Two TaskManagers that are to exchange records in attempt 1.1. */
  async function pair(world: TaskWorld) {
    const leader = await world.jobManager()
    const first = await world.taskManager({ id: 'tm-1' })
    const second = await world.taskManager({ id: 'tm-2' })
    const addresses = { 'tm-1': first.dataAddress, 'tm-2': second.dataAddress }
    const deployment = world.deployment('1.1', addresses, { plan: exchanging(2) })
    const deploy = (to?: string) => leader.send({ type: 'deploy', epoch: 1, deployment }, to)
    return { leader, first, second, deploy }
  }

  test('is not there fails, and nothing else, also while its own state is still being read', async () => {
    await using world = new TaskWorld()
    const leader = await world.jobManager()
    const tm = await world.taskManager()
    const restore = await checkpointed(world, [10])
    const release = tm.faults.hold(reading('chk/'))
    const addresses = { 'tm-1': tm.dataAddress, 'tm-2': NOBODY }
    const deployment = world.deployment('1.1', addresses, { plan: exchanging(2), restore })
    leader.send({ type: 'deploy', epoch: 1, deployment })
    await world.settle()
    expect(leader.all('deployFailed')).toMatchObject([
      { attempt: '1.1', error: { code: 'NET_LOST', message: expect.stringMatching(/TaskManager tm-2 at/) } },
    ])
    release()
    await world.settle()
    leader.send({ type: 'cancel', epoch: 1, attempt: '1.1', why: 'failed' })
    await world.settle()
    expect(leader.all('deployFailed')).toHaveLength(1)
    expect(leader.all('deployed')).toEqual([])
  })

  test('is not there, and whose state cannot be read either, fails once', async () => {
    await using world = new TaskWorld()
    const leader = await world.jobManager()
    const tm = await world.taskManager()
    const restore = await checkpointed(world, [10])
    tm.faults.refuse(reading('chk/'), 'STO_DENIED')
    const addresses = { 'tm-1': tm.dataAddress, 'tm-2': NOBODY }
    const deployment = world.deployment('1.1', addresses, { plan: exchanging(2), restore })
    leader.send({ type: 'deploy', epoch: 1, deployment })
    await world.pass(5000)
    expect(leader.all('deployFailed')).toHaveLength(1)
  })

  test('is there is connected before it says that it is deployed, whoever is told first', async () => {
    await using world = new TaskWorld()
    const { leader, deploy } = await pair(world)
    deploy('tm-1')
    await world.pass(5000)
    expect(leader.all('deployed')).toEqual([])
    deploy('tm-2')
    await world.settle()
    expect(leader.all('deployed')).toHaveLength(2)
  })

  test('is never told of the attempt, and which is cancelled while it dials, says nothing', async () => {
    await using world = new TaskWorld()
    const { leader, first, deploy } = await pair(world)
    deploy('tm-1')
    await world.settle()
    expect(first.slots.deployed).toHaveLength(1)
    leader.send({ type: 'cancel', epoch: 1, attempt: '1.1', why: 'tm-2 was lost' })
    await world.pass(60_000)
    expect(leader.all('deployFailed')).toEqual([])
  })

  test('is never told of the attempt fails when the peer has waited for half a minute', async () => {
    await using world = new TaskWorld()
    const { leader, deploy } = await pair(world)
    deploy('tm-1')
    await world.pass(31_000)
    expect(leader.last('deployFailed')?.error.message).toMatch(/did not accept the data connection/)
  })

  test('cannot be sent what a slot posts fails, and says why', async () => {
    await using world = new TaskWorld()
    const { leader, first, deploy } = await pair(world)
    deploy()
    await world.settle()
    // Never touched, so it takes no memory.
    const parcel = { frames: [new Uint8Array(MAX_FRAME_BYTES)], credits: [] }
    slotOf(first).say({ type: 'parcel', taskManager: 'tm-2', slot: 0, parcel })
    await world.settle()
    const message = expect.stringMatching(/^Frame of 2684354\d\d bytes exceeds the limit/)
    expect([...leader.all('deployFailed'), ...leader.all('failed')]).toMatchObject([
      { attempt: '1.1', error: { code: 'BUG', message } },
    ])
  })

  test('is lost is not blamed for a second: the leader may know better', async () => {
    await using world = new TaskWorld()
    const { leader, second, deploy } = await pair(world)
    deploy()
    await world.settle()
    await second.taskManager.close()
    await world.pass(900)
    expect(leader.all('failed')).toEqual([])
    await world.pass(200)
    expect(leader.all('failed')).toMatchObject([
      { attempt: '1.1', error: { message: expect.stringMatching(/^TaskManager tm-1 lost .* with tm-2/) } },
    ])
  })

  test('is lost, and which is cancelled within that second, says nothing', async () => {
    await using world = new TaskWorld()
    const { leader, second, deploy } = await pair(world)
    deploy()
    await world.settle()
    await second.taskManager.close()
    await world.pass(500)
    leader.send({ type: 'cancel', epoch: 1, attempt: '1.1', why: 'tm-2 was lost' })
    await world.pass(5000)
    expect(leader.all('failed')).toEqual([])
  })

  test('is cancelled alone is lost to the other one', async () => {
    await using world = new TaskWorld()
    const { leader, deploy } = await pair(world)
    deploy()
    await world.settle()
    leader.send({ type: 'cancel', epoch: 1, attempt: '1.1', why: 'stray' }, 'tm-1')
    await world.pass(1100)
    expect(leader.last('failed')?.error.message).toMatch(/^TaskManager tm-2 lost .* with tm-1/)
  })

  test('sends records hands them to the slot that they are for', async () => {
    await using world = new TaskWorld()
    const { first, second, deploy } = await pair(world)
    deploy()
    await world.settle()
    const parcel = { frames: [new Uint8Array([1, 2])], credits: [0, 3] }
    slotOf(first).say({ type: 'parcel', taskManager: 'tm-2', slot: 0, parcel })
    await world.settle()
    expect(slotOf(second).last('parcel')?.parcel.credits).toEqual([0, 3])
    expect([...(slotOf(second).last('parcel')?.parcel.frames[0] ?? [])]).toEqual([1, 2])
  })
})

describe('a restore', () => {
  test('shows its progress with every file that was read and every operator that was opened', async () => {
    await using world = new TaskWorld()
    const { leader, tm, deploy } = await single(world)
    tm.slots.isQuick = false
    const restore = await checkpointed(world, [100, 20])
    await deploy(restore)
    await world.pass(500)
    expect(leader.last('heartbeat')?.progress).toEqual({ restoredBytes: 120, steps: 3 })
    slotOf(tm).say({ type: 'opened' })
    await world.pass(500)
    expect(leader.last('heartbeat')?.progress).toEqual({ restoredBytes: 120, steps: 4 })
    slotOf(tm).say({ type: 'ready' })
    await world.pass(500)
    expect(leader.all('deployed')).toHaveLength(1)
    expect(leader.last('heartbeat')?.progress).toBeUndefined()
  })

  test('retries reads that are not answered', async () => {
    await using world = new TaskWorld()
    const { leader, tm, deploy } = await single(world)
    const restore = await checkpointed(world, [100])
    const mended = tm.faults.refuse((operation, key) => operation === 'get' && key.endsWith('.state'))
    await deploy(restore)
    await world.pass(5000)
    expect(leader.all('deployFailed')).toEqual([])
    mended()
    await world.pass(5000)
    expect(leader.all('deployed')).toHaveLength(1)
  })

  test('of a damaged file fails, naming it', async () => {
    await using world = new TaskWorld()
    const { leader, deploy } = await single(world)
    const restore = await checkpointed(world, [100, 20])
    world.disk.own.overwrite('chk/1-1/v-0-1.1-1.state', Buffer.alloc(20, 9))
    await deploy(restore)
    expect(leader.last('deployFailed')?.error).toMatchObject({
      code: 'STO_CORRUPT',
      message: expect.stringMatching(/chk\/1-1\/v-0-1\.1-1\.state is damaged/),
    })
  })

  test('that is cancelled reads no further and says nothing', async () => {
    await using world = new TaskWorld()
    const { leader, tm, deploy } = await single(world)
    const restore = await checkpointed(world, [100])
    const release = tm.faults.hold(reading('chk/'))
    await deploy(restore)
    leader.send({ type: 'cancel', epoch: 1, attempt: '1.1', why: 'lost' })
    await world.settle()
    release()
    await world.pass(1000)
    expect([leader.all('deployed'), leader.all('deployFailed')]).toEqual([[], []])
    expect(tm.slots.deployed).toEqual([])
  })
})

describe('what a slot says', () => {
  test('reaches the leader', async () => {
    await using world = new TaskWorld()
    const { leader, slot } = await running(world)
    slot.say({ type: 'firstRecord' })
    slot.say({ type: 'committed', subtask, checkpointId: 3 })
    await world.settle()
    expect(leader.last('firstRecord')).toEqual({ type: 'firstRecord', attempt: '1.1' })
    expect(leader.last('committed')).toEqual({
      type: 'committed',
      attempt: '1.1',
      subtask,
      checkpointId: 3,
    })
  })

  test('at the end of its data comes with its last counts', async () => {
    await using world = new TaskWorld()
    const { leader, slot } = await running(world)
    const counts = { recordsIn: 7, recordsOut: 7, recordsWritten: 7, busyMs: 0, backPressuredMs: 0 }
    const metrics = {
      ...subtask,
      ...counts,
      watermark: Infinity,
      lateDropped: 0,
      badRecords: 0,
      skippedCommits: 0,
      leftPending: 0,
    }
    slot.say({ type: 'metrics', subtasks: [metrics], waits: [] })
    slot.say({ type: 'finished', subtask })
    await world.settle()
    const [heartbeat, finished] = leader.heard.slice(-2)
    expect(heartbeat).toMatchObject({ type: 'heartbeat', subtasks: [{ recordsIn: 7, watermark: Infinity }] })
    expect(finished).toEqual({ type: 'finished', attempt: '1.1', subtask })
  })

  test.each([
    ['before it is ready is a failed deployment', false, 'deployFailed'],
    ['later is a failure of the task', true, 'failed'],
  ] as const)('of a failure %s, once', async (_, isReady, type) => {
    await using world = new TaskWorld()
    const { leader, tm, deploy } = await single(world)
    tm.slots.isQuick = isReady
    const slot = await deploy()
    slot.say({ type: 'failed', subtask, error: userError })
    slot.say({ type: 'failed', subtask, error: { ...userError, message: 'and again' } })
    slot.say({ type: 'ready' })
    await world.settle()
    expect(leader.all(type)).toMatchObject([{ attempt: '1.1', error: { message: 'map threw' } }])
    expect(leader.all('deployed')).toHaveLength(isReady ? 1 : 0)
  })

  test('after its attempt was cancelled reaches nobody', async () => {
    await using world = new TaskWorld()
    const { leader, slot } = await running(world)
    leader.send({ type: 'cancel', epoch: 1, attempt: '1.1', why: 'stopped' })
    const before = leader.heard.length
    const messages: FromSlot[] = [
      { type: 'failed', subtask, error: userError },
      { type: 'finished', subtask },
      { type: 'committed', subtask, checkpointId: 3 },
    ]
    await world.settle()
    for (const message of messages) slot.say(message)
    await world.settle()
    expect(leader.heard.slice(before)).toEqual([])
  })

  test('behind a stop barrier is reported as stopped', async () => {
    await using world = new TaskWorld()
    const { leader } = await running(world)
    const barrier = {
      epoch: 1,
      id: 4,
      base: 0,
      kind: 'checkpoint' as const,
      directory: 'chk/4-1',
      stop: true,
      drain: false,
    }
    leader.send({ type: 'trigger', epoch: 1, attempt: '1.1', barrier })
    leader.lead(1)
    await world.settle()
    expect(leader.last('execution')?.report).toMatchObject({ state: 'Stopped', highestCheckpointId: 4 })
  })
})

describe('a snapshot', () => {
  const snapshot = (id: number, bytes: Uint8Array | undefined): FromSlot => ({
    type: 'snapshot',
    subtask,
    barrier: {
      epoch: 1,
      id,
      base: 0,
      kind: 'checkpoint',
      directory: `chk/${id}-1`,
      stop: false,
      drain: false,
    },
    mode: 'full',
    uids: ['v'],
    states: [],
    keyed: bytes,
    lists: undefined,
    alignmentMs: 1,
    syncMs: 2,
    asyncMs: 3,
  })

  test('is uploaded and acknowledged with its key groups', async () => {
    await using world = new TaskWorld()
    const { leader, slot } = await running(world)
    slot.say(snapshot(1, Buffer.alloc(30_000, 1)))
    await world.settle()
    expect(leader.last('ack')?.ack).toMatchObject({
      attempt: '1.1',
      checkpointId: 1,
      sizeBytes: 30_000,
      state: { subtask: 0, keyGroups: [0, 128], chain: [{ key: 'chk/1-1/v-0-1.1.state' }] },
    })
  })

  test('that the store does not take declines the checkpoint, after a minute', async () => {
    await using world = new TaskWorld()
    const { leader, tm, slot } = await running(world)
    tm.faults.refuse(creating('chk/'))
    slot.say(snapshot(1, Buffer.alloc(30_000, 1)))
    await world.pass(50_000)
    expect(leader.all('decline')).toEqual([])
    await world.pass(20_000)
    expect(leader.last('decline')?.decline).toMatchObject({
      checkpointId: 1,
      reason: 'CHECKPOINT_ASYNC_EXCEPTION',
      error: { code: 'STO_UNAVAILABLE' },
    })
  })

  test('that a sink could not prepare declines the checkpoint', async () => {
    await using world = new TaskWorld()
    const { leader, slot } = await running(world)
    const { barrier } = snapshot(2, undefined) as Extract<FromSlot, { type: 'snapshot' }>
    slot.say({ type: 'snapshotFailed', subtask, barrier, reason: 'SINK_PREPARE_FAILED', error: userError })
    await world.settle()
    expect(leader.last('decline')?.decline).toMatchObject({ checkpointId: 2, reason: 'SINK_PREPARE_FAILED' })
  })

  test('of an attempt that was cancelled meanwhile is not acknowledged', async () => {
    await using world = new TaskWorld()
    const { leader, tm, slot } = await running(world)
    const release = tm.faults.hold(creating('chk/'))
    slot.say(snapshot(1, Buffer.alloc(30_000, 1)))
    await world.settle()
    leader.send({ type: 'cancel', epoch: 1, attempt: '1.1', why: 'stopped' })
    await world.settle()
    release()
    await world.settle()
    expect([leader.all('ack'), leader.all('decline')]).toEqual([[], []])
  })

  test('of an attempt that was cancelled meanwhile is not declined', async () => {
    await using world = new TaskWorld()
    const { leader, tm, slot } = await running(world)
    tm.faults.refuse(creating('chk/'))
    slot.say(snapshot(1, Buffer.alloc(30_000, 1)))
    await world.pass(1000)
    leader.send({ type: 'cancel', epoch: 1, attempt: '1.1', why: 'stopped' })
    await world.pass(120_000)
    expect([leader.all('ack'), leader.all('decline')]).toEqual([[], []])
  })
})
