/** Stops of a job by a real JobManager, asked for in every phase and against every fault. */
import { describe, expect, test } from 'vitest'
import { toErrorData, WeirError } from '#runtime/base/errors'
import { JobWorld, type Candidate } from '#test/kit/job-world'
import { creating, reading } from '#test/kit/store-faults'

const WITH_CHECKPOINT = { savepoint: undefined, drain: false }
const WITH_SAVEPOINT = { savepoint: { path: undefined }, drain: false }

function stop(leader: Candidate, triggerId = 'stop-1', how: object = WITH_CHECKPOINT) {
  leader.master.stop({ triggerId, ...WITH_CHECKPOINT, ...how })
}

describe('a stop of a running job', () => {
  test('closes the run when every sink has committed the last checkpoint', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await world.running()
    tm.does.commit = false
    stop(leader)
    await world.settle()
    expect(tm.last('trigger')?.barrier).toMatchObject({ stop: true, drain: false })
    expect(leader.state).toBe('Stopping')
    expect(leader.message).toBe('waiting for sinks to commit 1: v/0')
    expect(leader.operation('stop-1')?.status).toBe('InProgress')
    tm.commit(1)
    await world.settle()
    expect(world.kinds().slice(2)).toEqual(['DEPLOY', 'CHECKPOINT', 'CLOSE Suspended'])
    expect(world.records().at(-1)).toMatchObject({ committedUpTo: 1 })
    expect(leader.state).toBe('Suspended')
    expect(leader.operation('stop-1')).toMatchObject({
      status: 'Completed',
      checkpointId: 1,
      path: 'file:///job/chk/1-1',
    })
    expect(tm.execution).toBeUndefined()
  })

  test('with a savepoint answers with its place', async () => {
    await using world = new JobWorld()
    const { leader } = await world.running()
    stop(leader, 'stop-1', { savepoint: { path: 'before-upgrade' } })
    await world.settle()
    expect(leader.operation('stop-1')).toMatchObject({
      status: 'Completed',
      path: 'file:///job/before-upgrade',
    })
    expect((await world.log()).restorePoint).toMatchObject({ kind: 'savepoint', lineage: 'succession' })
  })

  test('at an impossible path is refused for that, also when it does not run', async () => {
    await using world = new JobWorld()
    const leader = await world.leader()
    stop(leader, 'stop-1', { savepoint: { path: 'chk/mine' } })
    await world.settle()
    expect(leader.operation('stop-1')?.error?.code).toBe('CFG_INVALID')
  })

  test('with draining brings event time to its end', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await world.running()
    stop(leader, 'stop-1', { drain: true })
    await world.settle()
    expect(tm.last('trigger')?.barrier).toMatchObject({ stop: true, drain: true })
    expect(leader.state).toBe('Drained')
  })

  test('at an impossible path is refused, and the job does not notice', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await world.running()
    stop(leader, 'stop-1', { savepoint: { path: 'chk/mine' } })
    expect(leader.state).toBe('Running')
    await world.settle()
    expect(leader.operation('stop-1')).toMatchObject({ status: 'Failed', error: { code: 'CFG_INVALID' } })
    expect(leader.state).toBe('Running')
    expect(tm.count('trigger')).toBe(0)
    expect(leader.master.view().restarts).toBe(0)
  })

  test('whose checkpoint a task declines fails, and the job restarts', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await world.running()
    tm.does.ack = false
    stop(leader)
    await world.settle()
    const { epoch, id: checkpointId } = tm.last('trigger')?.barrier ?? { epoch: 0, id: 0 }
    const error = toErrorData(new WeirError('STO_UNAVAILABLE', 'the disk is full'))
    const reason = 'SINK_PREPARE_FAILED'
    const of = { vertex: 'v', subtask: 0, attempt: tm.attempt }
    tm.say({ type: 'decline', decline: { ...of, epoch, checkpointId, reason, error } })
    await world.until('the job runs again', () => leader.state === 'Running')
    expect(leader.operation('stop-1')).toMatchObject({ status: 'Failed', error: { code: 'CKP_DECLINED' } })
    expect(world.kinds().some((k) => k.startsWith('CLOSE'))).toBe(false)
  })

  test('whose sinks do not commit within a minute is carried out by the next deployment', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await world.running()
    tm.does.commit = false
    stop(leader)
    await world.pass(61_000)
    await world.until('the run is closed', () => leader.state === 'Suspended')
    expect(world.kinds().slice(2)).toEqual(['DEPLOY', 'CHECKPOINT', 'DEPLOY', 'CLOSE Suspended'])
    expect(tm.count('start')).toBe(1)
    expect(leader.operation('stop-1')?.status).toBe('Completed')
  })
})

describe('two stops', () => {
  test('of one kind are answered together, after the sinks have committed', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await world.running()
    tm.does.ack = false
    stop(leader, 'stop-1', WITH_SAVEPOINT)
    await world.settle()
    stop(leader, 'stop-2', WITH_SAVEPOINT)
    await world.settle()
    expect(world.kinds().some((k) => k.startsWith('CLOSE'))).toBe(false)
    expect(tm.count('trigger')).toBe(1)
    const trigger = tm.last('trigger')
    if (trigger !== undefined) tm.ack(trigger)
    await world.settle()
    const [first, second] = [leader.operation('stop-1'), leader.operation('stop-2')]
    expect(first).toMatchObject({ status: 'Completed' })
    expect(second).toMatchObject({ status: 'Completed', path: first?.path })
  })

  test('of two kinds: the first is carried out, the second is told what it missed', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await world.running()
    tm.does.ack = false
    stop(leader, 'stop-1')
    stop(leader, 'stop-2', WITH_SAVEPOINT)
    stop(leader, 'stop-3', { drain: true })
    await world.settle()
    const trigger = tm.last('trigger')
    if (trigger !== undefined) tm.ack(trigger)
    await world.settle()
    expect(leader.operation('stop-1')?.status).toBe('Completed')
    expect(leader.operation('stop-2')?.error?.message).toMatch(
      /ended as Suspended, but no savepoint was taken/,
    )
    expect(leader.operation('stop-3')?.error?.message).toMatch(/ended as Suspended, but it was not drained/)
  })

  test('that cannot even be tried are both refused, and the job runs on', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await world.running()
    tm.does.ack = false
    // The queue of the coordinator is full: what is asked for now is refused.
    for (let i = 0; i < 1001; i++) leader.master.checkpoint(`ckp-${i}`)
    stop(leader, 'stop-1', WITH_SAVEPOINT)
    stop(leader, 'stop-2')
    expect(leader.state).toBe('Stopping')
    await world.settle()
    expect(leader.state).toBe('Running')
    for (const id of ['stop-1', 'stop-2'])
      expect(leader.operation(id)?.error?.context).toEqual({ reason: 'TOO_MANY_CHECKPOINT_REQUESTS' })
  })
})

describe('a stop while the last checkpoint of finished sources is taken', () => {
  test('does not close the run before the sinks have committed', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await world.running()
    tm.does.commit = false
    tm.sayFinished()
    await world.settle()
    expect(leader.state).toBe('Stopping')
    stop(leader)
    await world.settle()
    expect(world.kinds().some((k) => k.startsWith('CLOSE'))).toBe(false)
    tm.commit(1)
    await world.settle()
    expect(leader.state).toBe('Finished')
    expect(leader.operation('stop-1')).toMatchObject({ status: 'Completed', checkpointId: 1 })
  })
})

describe('a stop of a job that does not run', () => {
  test('while the new leader looks for running tasks waits until that is known', async () => {
    await using world = new JobWorld()
    const leader = await world.leader()
    stop(leader)
    await world.pass(1900)
    expect(leader.operation('stop-1')?.status).toBe('InProgress')
    await world.pass(200)
    expect(leader.state).toBe('Suspended')
    expect(leader.operation('stop-1')?.status).toBe('Completed')
  })

  test('while it waits for slots', async () => {
    await using world = new JobWorld()
    const leader = await world.leader()
    await world.pass(3000)
    expect(leader.state).toBe('WaitingForSlots')
    stop(leader)
    await world.settle()
    expect(leader.state).toBe('Suspended')
    expect(leader.message).toBe('stopped before its first checkpoint')
  })

  test('while DEPLOY is being logged: CLOSE follows it, and nothing is started', async () => {
    await using world = new JobWorld()
    const leader = await world.leader()
    const release = leader.faults.hold(creating('log/'))
    const tm = await world.joined('tm-1')
    await world.pass(3000)
    stop(leader)
    await world.settle()
    expect(leader.operation('stop-1')?.status).toBe('InProgress')
    release()
    await world.settle()
    expect(world.kinds().slice(2)).toEqual(['DEPLOY', 'CLOSE Suspended'])
    expect(tm.count('deploy')).toBe(0)
    expect(leader.operation('stop-1')?.status).toBe('Completed')
  })

  test('while it restores, also when the TaskManagers become ready before CLOSE is in the log', async () => {
    await using world = new JobWorld()
    const leader = await world.leader()
    const tm = world.taskManager('tm-1')
    tm.does.deploy = false
    tm.connect(leader.address)
    await world.until('the deployment', () => tm.count('deploy') === 1)
    const release = leader.faults.hold(creating('log/'))
    stop(leader)
    await world.settle()
    tm.sayDeployed()
    await world.settle()
    expect(leader.state).toBe('Stopping')
    release()
    await world.settle()
    expect(leader.state).toBe('Suspended')
    expect(leader.operation('stop-1')?.status).toBe('Completed')
    expect(tm.count('start')).toBe(0)
    expect(tm.execution).toBeUndefined()
  })

  test('while it restarts: with a checkpoint it is closed with the newest', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await world.running()
    await world.until('a checkpoint', () => tm.count('complete') === 1)
    tm.die()
    await world.settle()
    stop(leader)
    await world.settle()
    expect(leader.state).toBe('Suspended')
    expect(leader.message).toBe('stopped while not running; checkpoint 1 is the newest')
    expect(leader.operation('stop-1')).toMatchObject({ status: 'Completed', checkpointId: 1 })
  })

  test.each([
    ['a savepoint', WITH_SAVEPOINT],
    ['draining', { drain: true }],
  ])('with %s is refused, claims nothing and changes nothing', async (_, how) => {
    await using world = new JobWorld()
    const { leader, tm } = await world.running()
    await world.until('a checkpoint', () => tm.count('complete') === 1)
    tm.die()
    await world.settle()
    stop(leader, 'stop-1', how)
    await world.settle()
    const operation = leader.operation('stop-1')
    expect(operation).toMatchObject({ status: 'Failed', error: { code: 'CKP_DECLINED' } })
    expect(operation?.path).toBeUndefined()
    await world.joined('tm-2')
    await world.until('the job runs again', () => leader.state === 'Running')
  })

  test('after the run has ended is told how it has ended', async () => {
    await using world = new JobWorld()
    const { leader } = await world.running()
    stop(leader)
    await world.settle()
    stop(leader, 'stop-2')
    stop(leader, 'stop-3', { drain: true })
    await world.settle()
    expect(leader.operation('stop-2')).toMatchObject({ status: 'Completed', checkpointId: 1 })
    expect(leader.operation('stop-3')?.error?.message).toMatch(/it was not drained/)
  })

  test('after the run has failed fails for the same reason', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await world.running()
    tm.sayFailed(toErrorData(new WeirError('CKP_COMMIT_LOST', 'transaction 7 is gone')))
    await world.settle()
    expect(leader.state).toBe('Failed')
    stop(leader, 'stop-1', { drain: true })
    await world.settle()
    expect(leader.operation('stop-1')).toMatchObject({ status: 'Failed', error: { code: 'CKP_COMMIT_LOST' } })
  })
})

describe('a stop under way when', () => {
  test('a TaskManager is lost before its checkpoint completes: it fails, and the job runs on', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await world.running()
    tm.does.ack = false
    stop(leader)
    await world.settle()
    tm.die()
    await world.joined('tm-2')
    await world.until('the job runs again', () => leader.state === 'Running')
    expect(leader.operation('stop-1')).toMatchObject({ status: 'Failed', error: { code: 'NET_LOST' } })
  })

  test("a TaskManager is lost while its checkpoint's record is in doubt: it is carried out", async () => {
    await using world = new JobWorld()
    const { leader, tm } = await world.running()
    const faults = [leader.faults.loseAnswers(creating('log/')), leader.faults.refuse(reading('log/'))]
    stop(leader)
    await world.settle()
    tm.die()
    const second = await world.joined('tm-2')
    await world.pass(90_000)
    expect(leader.state).toBe('Restarting')
    expect(leader.operation('stop-1')?.status).toBe('InProgress')
    for (const mend of faults) mend()
    await world.until('the run is closed', () => leader.state === 'Suspended')
    expect(leader.operation('stop-1')?.status).toBe('Completed')
    expect(second.count('start')).toBe(0)
    expect(world.kinds().slice(2)).toEqual(['DEPLOY', 'CHECKPOINT', 'DEPLOY', 'CLOSE Suspended'])
  })

  test('TaskManagers are lost again and again before the commits: every stop is answered', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await world.running()
    tm.does.commit = false
    stop(leader)
    await world.settle()
    tm.die()
    // Restoring only to commit; asked again meanwhile; lost again.
    const second = world.taskManager('tm-2')
    second.does.deploy = false
    second.connect(leader.address)
    await world.until('the deployment', () => second.count('deploy') === 1)
    stop(leader, 'stop-2')
    second.die()
    await world.joined('tm-3')
    await world.until('the run is closed', () => leader.state === 'Suspended')
    expect(leader.operation('stop-1')?.status).toBe('Completed')
    expect(leader.operation('stop-2')?.status).toBe('Completed')
  })

  test('the leader is deposed while its record is in doubt: whoever waits is told', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await world.running()
    leader.faults.loseAnswers(creating('log/'))
    leader.faults.refuse(reading('log/'))
    stop(leader)
    await world.settle()
    const { master } = leader
    tm.die()
    await world.pass(5000)
    expect(leader.state).toBe('Restarting')
    leader.election.lose('jm-2 holds the lease')
    await world.settle()
    expect(master.operations.find('stop-1')).toMatchObject({ status: 'Failed', error: { code: 'FENCED' } })
    master.stop({ triggerId: 'stop-2', ...WITH_CHECKPOINT })
    await world.settle()
    expect(master.operations.find('stop-2')).toMatchObject({ status: 'Failed', error: { code: 'FENCED' } })
  })

  test('sources come to their end, and it is refused: the job finishes', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await world.running()
    tm.does.ack = false
    for (let i = 0; i < 1001; i++) leader.master.checkpoint(`ckp-${i}`)
    stop(leader)
    tm.sayFinished()
    await world.settle()
    expect(leader.operation('stop-1')?.status).toBe('Failed')
    expect(leader.message).toMatch(/end of data/)
  })
})

test('an operation that many others follow is still answered', async () => {
  await using world = new JobWorld()
  const { leader, tm } = await world.running()
  tm.does.ack = false
  stop(leader)
  for (let i = 0; i < 30; i++) leader.master.savepoint(`savepoint-${i}`, 'chk/refused')
  await world.settle()
  const { operations } = leader.master
  expect(operations.find('stop-1')?.status).toBe('InProgress')
  expect(operations.views).toHaveLength(20)
  const trigger = tm.last('trigger')
  if (trigger !== undefined) tm.ack(trigger)
  await world.settle()
  expect(operations.find('stop-1')?.status).toBe('Completed')
})
