/** A real TaskManager between JobManagers that come and go, with slots that a test commands. */
import { describe, expect, test } from 'vitest'
import { toErrorData, WeirError } from '#runtime/base/errors'
import type { ScriptedJobManager } from '#test/kit/scripted-job-manager'
import { TaskWorld, type TaskManagerUnderTest } from '#test/kit/task-world'

const barrier = (id: number, how: object = {}) => ({
  epoch: 1,
  id,
  base: 0,
  kind: 'checkpoint' as const,
  directory: `chk/${id}-1`,
  stop: false,
  drain: false,
  ...how,
})

/** One TaskManager of one leader, with attempt 1.1 running. */
async function running(world: TaskWorld, given: { orphanTimeoutMs?: number } = {}) {
  const leader = await world.jobManager('jm-1')
  const tm = await world.taskManager(given)
  deploy(world, leader, tm)
  await world.settle()
  leader.send({ type: 'start', epoch: leader.epoch, attempt: '1.1' })
  await world.settle()
  return { leader, tm, slot: tm.slots.deployed[0] as (typeof tm.slots.deployed)[0] }
}

function deploy(world: TaskWorld, leader: ScriptedJobManager, tm: TaskManagerUnderTest, attempt = '1.1') {
  const deployment = world.deployment(attempt, { 'tm-1': tm.dataAddress })
  leader.send({ type: 'deploy', epoch: leader.epoch, deployment })
}

describe('a TaskManager', () => {
  test('says hello with its slots and data address, and what it runs when a leader welcomes it', async () => {
    await using world = new TaskWorld()
    const leader = await world.jobManager()
    await world.taskManager({ slots: 2 })
    expect(leader.last('hello')).toMatchObject({ id: 'tm-1', slots: 2, run: 1, wire: 1 })
    expect(leader.last('hello')?.dataAddress).toMatch(/^127\.0\.0\.1:\d+$/)
    expect(leader.last('execution')).toEqual({ type: 'execution', epoch: 1, report: undefined })
  })

  test('deploys, starts and reports', async () => {
    await using world = new TaskWorld()
    const { leader, tm, slot } = await running(world)
    expect(leader.last('deployed')?.attempt).toBe('1.1')
    expect(slot.last('start')).toBeDefined()
    await world.pass(500)
    expect(leader.last('heartbeat')).toMatchObject({ attempt: '1.1', freeSlots: 0, progress: undefined })
    expect(tm.slots.deployed).toHaveLength(1)
  })

  test('has threads ready for a deployment, and starts those for the next one when it runs', async () => {
    await using world = new TaskWorld()
    const { tm } = await running(world)
    expect(tm.slots.started).toHaveLength(1)
    await world.pass(2000)
    expect(tm.slots.started).toHaveLength(2)
  })

  test('passes commands of its attempt on to its slots, and drops those of another', async () => {
    await using world = new TaskWorld()
    const { leader, slot } = await running(world)
    const of = { epoch: 1, attempt: '1.1' }
    leader.send({ type: 'trigger', ...of, barrier: barrier(1) })
    leader.send({ type: 'complete', ...of, permit: { checkpointId: 1, epoch: 1 } })
    leader.send({ type: 'abort', ...of, checkpointId: 2 })
    leader.send({ type: 'trigger', epoch: 1, attempt: '1.0', barrier: barrier(9) })
    await world.settle()
    expect(slot.last('trigger')?.barrier.id).toBe(1)
    expect(slot.last('complete')?.permit).toEqual({ checkpointId: 1, epoch: 1 })
    expect(slot.last('abort')).toMatchObject({ checkpointId: 2 })
  })

  test('cancels its attempt, and leaves another one alone', async () => {
    await using world = new TaskWorld()
    const { leader, tm, slot } = await running(world)
    leader.send({ type: 'cancel', epoch: 1, attempt: '1.0', why: 'stray' })
    await world.settle()
    expect(slot.terminated).toBe(false)
    leader.send({ type: 'cancel', epoch: 1, attempt: '1.1', why: 'stopped' })
    await world.settle()
    expect(slot.terminated).toBe(true)
    expect(tm.slots.deployed).toEqual([])
    await world.pass(500)
    expect(leader.last('heartbeat')).toMatchObject({ attempt: undefined, freeSlots: 1 })
  })

  test('ends what runs before it deploys the next attempt', async () => {
    await using world = new TaskWorld()
    const leader = await world.jobManager()
    const tm = await world.taskManager()
    const slow = Promise.withResolvers<void>()
    deploy(world, leader, tm)
    await world.settle()
    tm.slots.terminating = slow.promise
    deploy(world, leader, tm, '1.2')
    await world.settle()
    const attempts = () => tm.slots.deployed.map((s) => s.assignment?.deployment.attempt)
    const before = attempts()
    slow.resolve()
    await world.settle()
    expect(before).toEqual(['1.1'])
    expect(attempts()).toEqual(['1.2'])
  })

  test('does not deploy what was overtaken by a newer leader while it waited', async () => {
    await using world = new TaskWorld()
    const [old, next] = [await world.jobManager('jm-1'), await world.jobManager('jm-2', 0)]
    const tm = await world.taskManager()
    deploy(world, old, tm)
    await world.settle()
    deploy(world, old, tm, '1.2')
    next.lead(2)
    await world.settle()
    expect(tm.slots.deployed.map((s) => s.assignment?.deployment.attempt)).toEqual(['1.1'])
  })
})

describe('a TaskManager that knows a greater epoch', () => {
  test('refuses the commands of a lower one, and says why', async () => {
    await using world = new TaskWorld()
    const [old, next] = [await world.jobManager('jm-1'), await world.jobManager('jm-2', 0)]
    const tm = await world.taskManager()
    deploy(world, old, tm)
    await world.settle()
    next.lead(2)
    await world.settle()
    old.send({ type: 'cancel', epoch: 1, attempt: '1.1', why: 'old' })
    old.send({ type: 'start', epoch: 1, attempt: '1.1' })
    await world.settle()
    expect(old.all('fenced')).toEqual([
      { type: 'fenced', epoch: 2 },
      { type: 'fenced', epoch: 2 },
    ])
    expect(tm.slots.deployed[0]?.last('start')).toBeUndefined()
  })
})

describe('a TaskManager whose leader is lost', () => {
  test('runs on, and tells the next one what it runs', async () => {
    await using world = new TaskWorld()
    const standby = await world.jobManager('jm-2', 0)
    const { leader, slot } = await running(world)
    await leader.die()
    await world.pass(30_000)
    expect(slot.terminated).toBe(false)
    standby.lead(2)
    await world.settle()
    expect(standby.last('execution')).toMatchObject({
      epoch: 2,
      report: { attempt: '1.1', state: 'Running', places: [{ vertex: 'v', subtask: 0 }] },
    })
  })

  test('and adopted tells the new leader what nobody heard', async () => {
    await using world = new TaskWorld()
    const standby = await world.jobManager('jm-2', 0)
    const { leader, slot } = await running(world)
    await leader.die()
    await world.settle()
    const error = toErrorData(new WeirError('USR_FAILED', 'map threw'))
    slot.say({ type: 'finished', subtask: { vertex: 'v', subtask: 0 } })
    slot.say({ type: 'failed', subtask: { vertex: 'v', subtask: 0 }, error })
    standby.lead(2)
    await world.settle()
    standby.send({ type: 'adopt', epoch: 2, attempt: '1.1' })
    await world.settle()
    expect(standby.last('finished')).toMatchObject({ attempt: '1.1' })
    expect(standby.last('failed')).toMatchObject({ attempt: '1.1', error: { message: 'map threw' } })
    expect(slot.last('adopt')).toEqual({ type: 'adopt', epoch: 2 })
  })

  test('and adopted does not give up when the time for orphans comes', async () => {
    await using world = new TaskWorld()
    const standby = await world.jobManager('jm-2', 0)
    const { leader, slot } = await running(world)
    await leader.die()
    await world.pass(59_000)
    standby.lead(2)
    await world.settle()
    standby.send({ type: 'adopt', epoch: 2, attempt: '1.1' })
    await world.pass(600_000)
    expect(slot.terminated).toBe(false)
  })

  test('and back at the same address under a new epoch does not give up either', async () => {
    await using world = new TaskWorld()
    const { leader, slot } = await running(world)
    leader.drop()
    leader.epoch = 2
    await world.pass(1000)
    leader.send({ type: 'adopt', epoch: 2, attempt: '1.1' })
    await world.pass(600_000)
    expect(slot.terminated).toBe(false)
  })

  test('for longer than orphanTimeout stops its tasks', async () => {
    await using world = new TaskWorld()
    const { leader, slot, tm } = await running(world, { orphanTimeoutMs: 10_000 })
    await leader.die()
    await world.pass(9900)
    expect(slot.terminated).toBe(false)
    await world.pass(200)
    expect(slot.terminated).toBe(true)
    expect(tm.slots.deployed).toEqual([])
  })

  test('and that gave up between report and adoption says so when it is adopted', async () => {
    await using world = new TaskWorld()
    const standby = await world.jobManager('jm-2', 0)
    const { leader } = await running(world, { orphanTimeoutMs: 10_000 })
    await leader.die()
    await world.pass(9900)
    standby.lead(2)
    await world.settle()
    expect(standby.last('execution')?.report?.attempt).toBe('1.1')
    await world.pass(200)
    standby.send({ type: 'adopt', epoch: 2, attempt: '1.1' })
    await world.settle()
    expect(standby.last('execution')).toEqual({ type: 'execution', epoch: 2, report: undefined })
  })

  test('for a moment only, by its connection, reports again', async () => {
    await using world = new TaskWorld()
    const { leader, slot } = await running(world)
    leader.drop()
    await world.pass(100)
    expect(leader.all('hello')).toHaveLength(2)
    expect(leader.last('execution')?.report?.attempt).toBe('1.1')
    expect(slot.terminated).toBe(false)
  })
})

describe('a TaskManager that is told to go', () => {
  test('says so, runs on, and goes when its attempt is cancelled', async () => {
    await using world = new TaskWorld()
    const { leader, tm, slot } = await running(world)
    let gone = false
    const leaving = tm.taskManager.leave('SIGTERM').then(() => (gone = true))
    await world.pass(5000)
    expect(leader.last('leaving')?.why).toBe('SIGTERM')
    expect([gone, slot.terminated]).toEqual([false, false])
    leader.send({ type: 'cancel', epoch: 1, attempt: '1.1', why: 'moved' })
    await world.settle()
    await leaving
    expect(leader.isConnected).toBe(false)
  })

  test('does not go because a standby is lost', async () => {
    await using world = new TaskWorld()
    const standby = await world.jobManager('jm-2', 0)
    const { tm } = await running(world)
    let gone = false
    const leaving = tm.taskManager.leave('SIGTERM').then(() => (gone = true))
    await world.pass(1000)
    await standby.die()
    await world.pass(1000)
    expect(gone).toBe(false)
    await world.pass(10_000)
    await leaving
  })

  test('goes after ten seconds whatever the leader does', async () => {
    await using world = new TaskWorld()
    const { leader, tm } = await running(world)
    let gone = false
    const leaving = tm.taskManager.leave('SIGTERM').then(() => (gone = true))
    await world.pass(9900)
    expect(gone).toBe(false)
    await world.pass(200)
    await leaving
    expect(leader.isConnected).toBe(false)
  })

  test('goes at once when it runs nothing, or when nobody leads', async () => {
    await using world = new TaskWorld()
    const leader = await world.jobManager()
    const idle = await world.taskManager({ id: 'tm-idle' })
    await idle.taskManager.leave('SIGTERM')
    const tm = await world.taskManager()
    deploy(world, leader, tm)
    await world.settle()
    await leader.die()
    await world.settle()
    await tm.taskManager.leave('SIGTERM')
    expect(tm.slots.started.every((s) => s.terminated)).toBe(true)
  })

  test('goes when the leader is lost on the way', async () => {
    await using world = new TaskWorld()
    const { leader, tm } = await running(world)
    let gone = false
    const leaving = tm.taskManager.leave('SIGTERM').then(() => (gone = true))
    await world.pass(1000)
    await leader.die()
    await world.settle()
    await leaving
    expect(gone).toBe(true)
  })

  test('ends every thread, also those that waited for a deployment', async () => {
    await using world = new TaskWorld()
    const { tm } = await running(world)
    await world.pass(3000)
    await tm.taskManager.close()
    await tm.taskManager.close()
    expect(tm.slots.started).toHaveLength(2)
    expect(tm.slots.started.every((s) => s.terminated)).toBe(true)
  })
})
