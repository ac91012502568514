/**
 * Deployments of a real JobManager over a network and a store with faults: wherever a TaskManager
 * dies, the job runs again.
 */
import { describe, expect, test } from 'vitest'
import { toErrorData, WeirError } from '#runtime/base/errors'
import { JobWorld, planOf } from '#test/kit/job-world'
import { creating, reading } from '#test/kit/store-faults'

const attempts = (world: JobWorld) => world.records().flatMap((r) => (r.kind === 'DEPLOY' ? [r.attempt] : []))

describe('a deployment', () => {
  test('leads to a running job that takes checkpoints', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await world.running()
    await world.until('two checkpoints', () => tm.count('complete') === 2)
    expect(leader.message).toBe('running, started empty')
    expect(world.kinds()).toEqual(['OWNER', 'EPOCH_OPEN', 'DEPLOY', 'CHECKPOINT', 'CHECKPOINT'])
  })

  test('waits for enough slots and says so', async () => {
    await using world = new JobWorld()
    const leader = await world.leader({ slots: 2 })
    await world.joined('tm-1')
    await world.pass(5000)
    expect(leader.state).toBe('WaitingForSlots')
    expect(leader.message).toMatch(/2 wanted, 1 registered by 1 TaskManager/)
    await world.joined('tm-2')
    await world.settle()
    expect(leader.state).toBe('Running')
  })

  test('sends no command before its record is in the log', async () => {
    await using world = new JobWorld()
    const leader = await world.leader()
    const release = leader.faults.hold(creating('log/'))
    const tm = await world.joined('tm-1')
    await world.pass(10_000)
    expect(leader.state).toBe('Deploying')
    expect(tm.count('deploy')).toBe(0)
    release()
    await world.settle()
    expect(tm.count('deploy')).toBe(1)
    expect(leader.state).toBe('Running')
  })
})

describe('a TaskManager dies, and another one has room,', () => {
  /** A leader of one slot, and two TaskManagers, of which the first is deployed to. */
  async function deploying(world: JobWorld) {
    const leader = await world.leader()
    const tm = world.taskManager('tm-1')
    const spare = world.taskManager('tm-2')
    tm.does.deploy = false
    return { leader, tm, spare, connect: () => [tm, spare].forEach((t) => t.connect(leader.address)) }
  }

  test('before DEPLOY is logged, while the restore point is verified', async () => {
    await using world = new JobWorld()
    const first = await world.running()
    await world.until('a checkpoint', () => first.tm.count('complete') === 1)
    const release = first.leader.faults.hold(reading('chk/'))
    first.tm.die()
    const second = await world.joined('tm-2')
    await world.pass(2000)
    expect(first.leader.message).toBe('deploying: looking at the restore point')
    second.die()
    await world.joined('tm-3')
    release()
    await world.until('the job runs on tm-3', () => first.leader.state === 'Running')
    expect(first.leader.master.view().places[0]?.taskManager).toBe('tm-3')
    expect(first.leader.message).toMatch(/restored from .*chk\/1-1/)
  })

  test('while DEPLOY is being logged: the attempt of the record is never used again', async () => {
    await using world = new JobWorld()
    const { leader, tm, connect } = await deploying(world)
    const release = leader.faults.hold(creating('log/'))
    connect()
    await world.pass(3000)
    expect(leader.state).toBe('Deploying')
    tm.die()
    await world.pass(3000)
    expect(leader.state).toBe('Restarting')
    release()
    await world.until('the job runs', () => leader.state === 'Running')
    expect(attempts(world)).toEqual(['1.1', '1.2'])
    expect(leader.master.view().attempt).toBe('1.2')
  })

  test('after DEPLOY is logged and before the command arrives', async () => {
    await using world = new JobWorld()
    const { leader, tm, connect } = await deploying(world)
    const hold = leader.faults.hold(creating('log/'))
    connect()
    await world.pass(2000)
    // It dies in the turn in which the record becomes certain.
    hold()
    tm.die()
    await world.until('the job runs', () => leader.state === 'Running')
    expect(tm.count('start')).toBe(0)
    expect(leader.master.view().places[0]?.taskManager).toBe('tm-2')
  })

  test('while it restores', async () => {
    await using world = new JobWorld()
    const { leader, tm, connect } = await deploying(world)
    connect()
    await world.until('the deployment', () => tm.count('deploy') === 1)
    tm.die()
    await world.until('the job runs', () => leader.state === 'Running')
    expect(attempts(world)).toEqual(['1.1', '1.2'])
  })

  test('after it said that it is deployed, while another one still restores', async () => {
    await using world = new JobWorld()
    const leader = await world.leader({ slots: 2 })
    const [first, slow] = [await world.joined('tm-1'), world.taskManager('tm-2')]
    slow.does.deploy = false
    slow.connect(leader.address)
    await world.until('one of two is ready', () => first.count('deploy') === 1)
    first.die()
    const third = await world.joined('tm-3')
    await world.until('the next deployment', () => slow.count('deploy') === 2)
    slow.sayDeployed()
    await world.until('the job runs', () => leader.state === 'Running')
    expect(third.attempt).toBe(slow.attempt)
  })

  test('between start to one and start to the other', async () => {
    await using world = new JobWorld()
    const { leader, taskManagers } = await world.running({ slots: 2 })
    const [first, second] = taskManagers as [(typeof taskManagers)[0], (typeof taskManagers)[0]]
    expect(first.count('start')).toBe(1)
    second.die()
    await world.joined('tm-3')
    await world.until('the job runs again', () => leader.state === 'Running' && first.count('start') === 2)
    expect(leader.master.view().restarts).toBe(1)
    expect(leader.master.exceptions[0]?.error.message).toBe(
      'TaskManager tm-2 was lost: its connection closed',
    )
  })

  test('while it runs: the job is restored from its last checkpoint', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await world.running()
    await world.until('a checkpoint', () => tm.count('complete') === 1)
    tm.die()
    const second = await world.joined('tm-2')
    await world.until('the job runs again', () => leader.state === 'Running')
    expect(second.last('deploy')?.deployment.restore).toMatchObject({ kind: 'checkpoint', id: 1 })
    expect(leader.jobManager.facts().recoveries[0]).toMatchObject({
      cause: 'TaskManager tm-1 was lost: its connection closed',
      checkpointId: 1,
    })
  })
})

test('a recovery ends with the first record of the attempt that it led to', async () => {
  await using world = new JobWorld()
  const { leader, tm } = await world.running()
  tm.die()
  const second = await world.joined('tm-2')
  await world.until('the job runs again', () => leader.state === 'Running')
  await world.pass(30)
  second.say({ type: 'firstRecord', attempt: '1.1' })
  await world.settle()
  const recovery = () => leader.jobManager.facts().recoveries[0]
  expect(recovery()?.firstRecordMs).toBeUndefined()
  second.say({ type: 'firstRecord', attempt: second.attempt })
  await world.settle()
  expect(recovery()?.firstRecordMs).toBe(30)
})

describe('a TaskManager connects again under its id', () => {
  test('with the tasks that it had: they are cancelled, and it is deployed to anew', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await world.running()
    tm.disconnect()
    await world.settle()
    expect(leader.state).not.toBe('Running')
    tm.connect(leader.address)
    await world.until('the job runs again', () => leader.state === 'Running')
    expect(tm.attempt).toBe('1.2')
    expect(leader.master.view().restarts).toBe(1)
  })

  test('without its tasks', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await world.running()
    tm.die()
    tm.connect(leader.address)
    await world.until('the job runs again', () => leader.state === 'Running')
    expect(tm.attempt).toBe('1.2')
  })

  test('while the job has moved elsewhere: its stray tasks are cancelled', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await world.running()
    const stray = tm.execution
    tm.disconnect()
    await world.joined('tm-2')
    await world.until('the job runs elsewhere', () => leader.state === 'Running')
    tm.execution = stray
    tm.connect(leader.address)
    await world.until('they are cancelled', () => tm.execution === undefined, 2000)
    expect(leader.state).toBe('Running')
  })

  test('before the leader noticed that the connection before was lost', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await world.running()
    const successor = world.taskManager('tm-1')
    successor.connect(leader.address)
    await world.until('the job runs on the successor', () => successor.attempt === '1.2')
    await world.settle()
    expect(leader.state).toBe('Running')
    expect(tm.isConnected).toBe(false)
    expect(leader.jobManager.facts().taskManagers).toBe(1)
  })
})

describe('a TaskManager that is connected', () => {
  test('and says that it runs nothing of what it was deployed is a failure at once', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await world.running()
    tm.execution = undefined
    await world.until('the failure', () => leader.master.view().restarts === 1, 1000)
    expect(leader.master.exceptions[0]?.error.message).toBe(
      'TaskManager tm-1 runs nothing instead of attempt 1.1',
    )
    await world.until('the job runs again', () => leader.state === 'Running')
  })

  test('and says nothing for ten seconds is lost', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await world.running({ checkpoint: { intervalMs: 600_000 } })
    tm.does.heartbeat = false
    await world.pass(9000)
    expect(leader.state).toBe('Running')
    await world.pass(2100)
    expect(leader.state).not.toBe('Running')
    const [failure] = leader.master.exceptions
    expect(failure?.error.message).toMatch(/tm-1 was lost: it sent no heartbeat for 10000 ms/)
  })
})

describe('a restore', () => {
  test('of ten minutes is waited for while it makes progress', async () => {
    await using world = new JobWorld()
    const leader = await world.leader()
    const tm = world.taskManager('tm-1')
    tm.does.deploy = false
    tm.connect(leader.address)
    await world.until('the deployment', () => tm.count('deploy') === 1)
    for (let step = 1; step <= 15; step++) {
      tm.progress = { restoredBytes: step * 1000, steps: step }
      await world.pass(40_000)
    }
    expect(leader.message).toBe('deploying attempt 1.1: 0 of 1 TaskManagers ready, 15000 bytes restored')
    tm.sayDeployed()
    await world.settle()
    expect(leader.state).toBe('Running')
    expect(leader.master.view().restarts).toBe(0)
  })

  test('without progress for a minute is given up, naming who is not ready', async () => {
    await using world = new JobWorld()
    const leader = await world.leader({ slots: 2 })
    const stuck = world.taskManager('tm-1')
    stuck.does.deploy = false
    stuck.progress = { restoredBytes: 10, steps: 1 }
    stuck.connect(leader.address)
    await world.joined('tm-2')
    await world.until('the deployment', () => stuck.count('deploy') === 1)
    await world.pass(59_000)
    expect(leader.state).toBe('Deploying')
    await world.pass(3000)
    expect(leader.master.exceptions[0]?.error.message).toBe(
      'Deployment 1.1 made no progress for 60000 ms; not ready: tm-1',
    )
    stuck.does.deploy = true
    await world.until('the job runs', () => leader.state === 'Running', 120_000)
  })

  test('that fails for good ends the run as Failed and says why', async () => {
    await using world = new JobWorld()
    const leader = await world.leader()
    const tm = world.taskManager('tm-1')
    tm.does.deploy = false
    tm.connect(leader.address)
    await world.until('the deployment', () => tm.count('deploy') === 1)
    const error = toErrorData(new WeirError('CKP_COMMIT_LOST', 'transaction 7 is gone'))
    tm.say({ type: 'deployFailed', attempt: tm.attempt, error })
    await world.settle()
    expect(leader.state).toBe('Failed')
    expect(leader.message).toBe('transaction 7 is gone')
    expect(world.kinds().at(-1)).toBe('CLOSE Failed')
    expect(tm.execution).toBeUndefined()
  })
})

describe('a store that takes no writes for minutes', () => {
  test('while DEPLOY is logged: the job waits, says so, and runs', async () => {
    await using world = new JobWorld()
    const leader = await world.leader()
    const mended = leader.faults.refuse(creating('log/'))
    const tm = await world.joined('tm-1')
    await world.pass(180_000)
    expect(leader.state).toBe('Deploying')
    expect(leader.message).toMatch(/deploying attempt 1.1. The outcome of DEPLOY .* is open after/)
    mended()
    await world.until('the job runs', () => leader.state === 'Running')
    expect(tm.count('deploy')).toBe(1)
    expect(attempts(world)).toEqual(['1.1'])
  })

  test('and loses the answer to DEPLOY: the record counts once', async () => {
    await using world = new JobWorld()
    const leader = await world.leader()
    const faults = [leader.faults.loseAnswers(creating('log/')), leader.faults.refuse(reading('log/'))]
    await world.joined('tm-1')
    await world.pass(120_000)
    expect(leader.state).toBe('Deploying')
    for (const mend of faults) mend()
    await world.until('the job runs', () => leader.state === 'Running')
    expect(attempts(world)).toEqual(['1.1'])
  })

  test('denies DEPLOY: it is asked again until the credentials are rotated', async () => {
    await using world = new JobWorld()
    const leader = await world.leader()
    const rotated = leader.faults.refuse(creating('log/'), 'STO_DENIED')
    await world.joined('tm-1')
    await world.pass(300_000)
    expect(leader.message).toMatch(/cannot write the deployment to the log, trying again/)
    expect(leader.jobManager.facts().error?.code).toBe('STO_DENIED')
    rotated()
    await world.until('the job runs', () => leader.state === 'Running', 15_000)
    expect(leader.jobManager.facts().error).toBeUndefined()
  })

  test('denies the verification of the restore point', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await world.running()
    await world.until('a checkpoint', () => tm.count('complete') === 1)
    const rotated = leader.faults.refuse(reading('chk/'), 'STO_DENIED')
    tm.die()
    await world.joined('tm-2')
    await world.pass(300_000)
    expect(leader.message).toMatch(/cannot read the restore point, trying again/)
    rotated()
    await world.until('the job runs', () => leader.state === 'Running', 15_000)
    expect(leader.master.view().restarts).toBe(1)
  })
})

describe('a TaskManager that leaves', () => {
  test('is left with a last checkpoint once there is room elsewhere', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await world.running()
    const spare = await world.joined('tm-2')
    tm.broadcast({ type: 'leaving', why: 'SIGTERM' })
    await world.until('the job runs elsewhere', () => spare.execution?.state === 'Running')
    expect(world.kinds()).toEqual(['OWNER', 'EPOCH_OPEN', 'DEPLOY', 'CHECKPOINT', 'DEPLOY'])
    expect(tm.execution).toBeUndefined()
    expect(leader.state).toBe('Running')
  })

  test('is left after eight seconds when there is no room, so that little is replayed', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await world.running({ checkpoint: { intervalMs: 600_000 } })
    tm.broadcast({ type: 'leaving', why: 'SIGTERM' })
    await world.pass(7900)
    expect(tm.count('trigger')).toBe(0)
    await world.pass(200)
    expect(world.kinds().at(-1)).toBe('CHECKPOINT')
    expect(leader.state).toBe('WaitingForSlots')
    await world.joined('tm-2')
    await world.settle()
    expect(leader.state).toBe('Running')
  })

  test('while the job is being deployed is left as soon as it runs', async () => {
    await using world = new JobWorld()
    const leader = await world.leader()
    const tm = world.taskManager('tm-1')
    tm.does.deploy = false
    tm.connect(leader.address)
    await world.until('the deployment', () => tm.count('deploy') === 1)
    tm.broadcast({ type: 'leaving', why: 'SIGTERM' })
    const spare = await world.joined('tm-2')
    tm.sayDeployed()
    await world.until('the job runs elsewhere', () => spare.execution?.state === 'Running', 5000)
  })
})

test('a plan with more subtasks than a TaskManager has slots is spread over several', async () => {
  await using world = new JobWorld()
  const leader = await world.leader({ slots: 3, plan: planOf(3) })
  await world.joined('tm-1', { slots: 2 })
  await world.joined('tm-2')
  await world.until('the job runs', () => leader.state === 'Running')
  expect(leader.master.view().places.map((p) => `${p.taskManager}/${p.slot}`)).toEqual([
    'tm-1/0',
    'tm-2/0',
    'tm-1/1',
  ])
})
