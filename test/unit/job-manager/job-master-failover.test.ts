/** The leader dies at every step, and another JobManager goes on from where the log stands. */
import { describe, expect, test } from 'vitest'
import { JobWorld } from '#test/kit/job-world'
import { creating, reading } from '#test/kit/store-faults'

/** A leader, a standby, and a TaskManager that both know. */
async function pair(world: JobWorld) {
  const leader = await world.leader()
  const standby = await world.candidate({ id: 'jm-2' })
  const tm = world.taskManager('tm-1')
  const connect = () => [leader, standby].forEach((c) => tm.connect(c.address))
  const takeOver = async () => {
    await leader.jobManager.close()
    standby.election.win()
    await world.settle()
  }
  return { leader, standby, tm, connect, takeOver }
}

const running = async (world: JobWorld) => {
  const made = await pair(world)
  made.connect()
  await world.until('the job runs', () => made.leader.state === 'Running')
  return made
}

describe('the leader dies', () => {
  test('before anything is deployed', async () => {
    await using world = new JobWorld()
    const { standby, tm, connect, takeOver } = await pair(world)
    await takeOver()
    connect()
    await world.until('the job runs', () => standby.state === 'Running')
    expect(tm.attempt).toBe('2.1')
  })

  test('while DEPLOY is in doubt, and it does not stand in the log', async () => {
    await using world = new JobWorld()
    const { leader, standby, tm, connect, takeOver } = await pair(world)
    leader.faults.refuse(creating('log/'))
    connect()
    await world.pass(10_000)
    await takeOver()
    await world.until('the job runs', () => standby.state === 'Running')
    expect(world.kinds()).toEqual(['OWNER', 'EPOCH_OPEN', 'EPOCH_OPEN', 'DEPLOY'])
    expect(tm.attempt).toBe('2.1')
  })

  test('while DEPLOY is in doubt, and it stands in the log', async () => {
    await using world = new JobWorld()
    const { leader, standby, tm, connect, takeOver } = await pair(world)
    leader.faults.loseAnswers(creating('log/'))
    leader.faults.refuse(reading('log/'))
    connect()
    await world.pass(10_000)
    await takeOver()
    await world.until('the job runs', () => standby.state === 'Running')
    expect(world.kinds()).toEqual(['OWNER', 'EPOCH_OPEN', 'DEPLOY', 'EPOCH_OPEN', 'DEPLOY'])
    expect(tm.received.filter((m) => m.type === 'deploy')).toHaveLength(1)
  })

  test('while the TaskManager restores: it is deployed to anew', async () => {
    await using world = new JobWorld()
    const { standby, tm, connect, takeOver } = await pair(world)
    tm.does.deploy = false
    connect()
    await world.until('the deployment', () => tm.count('deploy') === 1)
    tm.does.deploy = true
    await takeOver()
    await world.until('the job runs', () => standby.state === 'Running')
    expect(tm.attempt).toBe('2.1')
  })

  test('after deployed was said and before start', async () => {
    await using world = new JobWorld()
    const { standby, tm, connect, takeOver } = await pair(world)
    tm.does.deploy = false
    connect()
    await world.until('the deployment', () => tm.count('deploy') === 1)
    tm.does.deploy = true
    tm.sayDeployed()
    await takeOver()
    await world.until('the job runs', () => standby.state === 'Running')
    expect(tm.execution?.state).toBe('Running')
  })

  test('while the job runs: what runs is adopted, and no task notices', async () => {
    await using world = new JobWorld()
    const { standby, tm, takeOver } = await running(world)
    await world.until('a checkpoint', () => tm.count('complete') === 1)
    await takeOver()
    expect(standby.state).toBe('Running')
    expect(standby.message).toBe('running; attempt 1.1 goes on under epoch 2')
    expect(tm.count('deploy')).toBe(1)
    expect(tm.count('cancel')).toBe(0)
    // The permit of the last checkpoint is repeated: nobody knows whether it arrived.
    expect(tm.last('complete')?.permit).toEqual({ checkpointId: 1, epoch: 2 })
    await world.until('the next checkpoint', () => tm.count('complete') === 3)
    expect(tm.last('trigger')?.barrier).toMatchObject({ epoch: 2, id: 2, base: 1 })
  })

  test('while a checkpoint is under way: its id is not used again', async () => {
    await using world = new JobWorld()
    const { standby, tm, takeOver } = await running(world)
    tm.does.ack = false
    await world.until('a trigger', () => tm.count('trigger') === 1)
    tm.does.ack = true
    await takeOver()
    await world.until('the next checkpoint', () => tm.count('complete') === 1)
    expect(standby.state).toBe('Running')
    expect(tm.last('trigger')?.barrier).toMatchObject({ epoch: 2, id: 2, base: 0 })
  })

  test('while the record of a checkpoint is in doubt', async () => {
    await using world = new JobWorld()
    const { leader, standby, tm, takeOver } = await running(world)
    leader.faults.loseAnswers(creating('log/'))
    leader.faults.refuse(reading('log/'))
    await world.pass(15_000)
    expect(tm.count('complete')).toBe(0)
    await takeOver()
    expect(standby.state).toBe('Running')
    expect(tm.last('complete')?.permit).toEqual({ checkpointId: 1, epoch: 2 })
  })

  test('while it restarts the job', async () => {
    await using world = new JobWorld()
    const { standby, tm, takeOver } = await running(world)
    await world.until('a checkpoint', () => tm.count('complete') === 1)
    tm.die()
    await world.settle()
    await takeOver()
    const second = world.taskManager('tm-2')
    second.connect(standby.address)
    await world.until('the job runs', () => standby.state === 'Running')
    expect(second.last('deploy')?.deployment.restore).toMatchObject({ kind: 'checkpoint', id: 1 })
  })

  test('and one of two TaskManagers with it: the job is deployed anew after two seconds', async () => {
    await using world = new JobWorld()
    const leader = await world.leader({ slots: 2 })
    const standby = await world.candidate({ id: 'jm-2', slots: 2 })
    const [first, second] = [await world.joined('tm-1'), await world.joined('tm-2')]
    await world.until('the job runs', () => leader.state === 'Running')
    await leader.jobManager.close()
    second.die()
    standby.election.win()
    await world.pass(1900)
    expect(standby.message).toBe('looking for running tasks')
    await world.pass(200)
    expect(standby.state).toBe('WaitingForSlots')
    const third = world.taskManager('tm-3')
    third.connect(standby.address)
    await world.until('the job runs', () => standby.state === 'Running')
    expect([first.attempt, third.attempt]).toEqual(['2.1', '2.1'])
  })
})

describe('a new leader', () => {
  test('is told the ends of data that nobody heard, and finishes the run', async () => {
    await using world = new JobWorld()
    const { leader, standby, tm } = await running(world)
    await leader.jobManager.close()
    tm.sayFinished()
    standby.election.win()
    await world.settle()
    expect(standby.state).toBe('Running')
    tm.sayFinished()
    await world.settle()
    expect(standby.state).toBe('Finished')
  })

  test('notices at once when what it adopts was given up meanwhile', async () => {
    await using world = new JobWorld()
    const { leader, standby, tm } = await running(world)
    await leader.jobManager.close()
    // Between its report and the command to go on, the TaskManager gives up waiting for a leader.
    const { execution } = tm
    tm.does.adopt = false
    standby.election.win()
    await world.settle()
    tm.does.adopt = true
    tm.broadcast({ type: 'execution', epoch: 2, report: execution })
    tm.execution = undefined
    await world.until('the job runs again', () => tm.execution?.state === 'Running', 5000)
    expect(tm.attempt).toBe('2.1')
    expect(standby.master.exceptions[0]?.error.message).toMatch(/runs nothing instead of attempt 1.1/)
  })

  test('that is deposed before it has deployed changes nothing', async () => {
    await using world = new JobWorld()
    const { leader, standby, tm } = await running(world)
    // Redis has lost its data: both believe that they lead. The log decides.
    standby.election.win()
    await world.settle()
    expect(standby.state).toBe('Running')
    await world.until('the former leader has noticed', () => leader.state === 'Created')
    expect(tm.count('cancel')).toBe(0)
    expect(tm.execution?.state).toBe('Running')
    expect(world.kinds().filter((k) => k === 'DEPLOY')).toHaveLength(1)
  })

  test('of a newer run does not adopt what the run before left', async () => {
    await using world = new JobWorld()
    const { leader } = await running(world)
    await leader.jobManager.close()
    const next = await world.leader({ id: 'jm-of-run-2', run: 2 })
    const tm = world.taskManager('tm-of-run-2', { run: 2 })
    tm.connect(next.address)
    await world.until('the job runs', () => next.state === 'Running')
    expect(tm.attempt).toBe('2.1')
  })
})

describe('a leader that was deposed', () => {
  test('tells TaskManagers that connect that it does not lead', async () => {
    await using world = new JobWorld()
    const { leader } = await running(world)
    leader.election.lose()
    await world.settle()
    const late = world.taskManager('tm-2')
    late.connect(leader.address)
    await world.settle()
    expect(late.last('welcome')).toMatchObject({ leader: false })
  })

  test('and the TaskManager that said meanwhile that it leaves is left by the next leader', async () => {
    await using world = new JobWorld()
    const { leader, standby, tm } = await running(world)
    const spare = world.taskManager('tm-2')
    spare.connect(standby.address)
    await leader.jobManager.close()
    tm.broadcast({ type: 'leaving', why: 'SIGTERM' })
    await world.settle()
    standby.election.win()
    await world.until('the job runs elsewhere', () => spare.execution?.state === 'Running', 5000)
    expect(world.kinds().filter((k) => k === 'CHECKPOINT')).toHaveLength(1)
  })

  test('while a stop was under way: asked again, the next one answers from the log', async () => {
    await using world = new JobWorld()
    const { leader, standby, tm, takeOver } = await running(world)
    tm.does.commit = false
    const stop = { triggerId: 'upgrade-1', savepoint: { path: 'before-upgrade' }, drain: false }
    leader.master.stop(stop)
    await world.settle()
    await takeOver()
    standby.master.stop(stop)
    tm.commit(1)
    await world.settle()
    expect(standby.operation('upgrade-1')).toMatchObject({
      status: 'Completed',
      path: 'file:///job/before-upgrade',
    })
    expect(world.kinds().filter((k) => k === 'SAVEPOINT')).toHaveLength(1)
  })
})

test('a TaskManager that has seen no greater epoch deposes nobody', async () => {
  await using world = new JobWorld()
  const { leader, tm } = await running(world)
  tm.broadcast({ type: 'fenced', epoch: 1 })
  await world.settle()
  expect(leader.state).toBe('Running')
})

test('a TaskManager that has seen a greater epoch deposes a leader', async () => {
  await using world = new JobWorld()
  const { leader, tm } = await running(world)
  tm.broadcast({ type: 'fenced', epoch: 7 })
  await world.settle()
  expect(leader.state).toBe('Created')
  expect(leader.message).toBe("standing by: A TaskManager has seen epoch 7; this leader's is 1")
  expect(leader.elections[0]?.closed).toBe(true)
  await world.until('it stands for the lease again', () => leader.elections.length === 2)
})
