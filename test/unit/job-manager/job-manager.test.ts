/**
 * A real JobManager as a candidate: preparation, elections, epochs, and what it shows meanwhile.
 */
import { describe, expect, test } from 'vitest'
import { WeirError } from '#runtime/base/errors'
import { ScriptedElection } from '#test/kit/scripted-election'
import { JobWorld } from '#test/kit/job-world'
import { anything, creating } from '#test/kit/store-faults'

const epochs = (world: JobWorld) =>
  world.records().flatMap((r) => (r.kind === 'EPOCH_OPEN' ? [`${r.epoch} by ${r.leader}`] : []))

describe('a JobManager that is elected', () => {
  test('opens an epoch and leads', async () => {
    await using world = new JobWorld()
    const candidate = await world.candidate()
    expect(candidate.jobManager.facts()).toMatchObject({ leading: false, state: 'Created' })
    expect(candidate.jobManager.isReady).toBe(true)
    candidate.election.win()
    await world.settle()
    expect(candidate.jobManager.facts()).toMatchObject({ leading: true, leader: 'jm-1', epoch: 1 })
    expect(epochs(world)).toEqual(['1 by jm-1'])
  })

  test('shows who leads while it stands by', async () => {
    await using world = new JobWorld()
    const candidate = await world.candidate()
    candidate.election.see('jm-2')
    await world.settle()
    expect(candidate.jobManager.facts()).toMatchObject({
      leading: false,
      leader: 'jm-2',
      message: 'standing by',
    })
  })

  test('and loses the lease stops leading at once, and stands for it again', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await world.running()
    leader.election.lose('jm-2 holds the lease')
    await world.settle()
    expect(leader.jobManager.facts()).toMatchObject({
      leading: false,
      message: 'standing by: jm-2 holds the lease',
    })
    expect(tm.count('cancel')).toBe(0)
    await world.until('its next campaign', () => leader.elections.length === 2)
    expect(leader.elections[0]?.closed).toBe(true)
    leader.election.win()
    await world.settle()
    expect(leader.message).toBe('running; attempt 1.1 goes on under epoch 2')
  })

  test('stands for a floor above every epoch of the log', async () => {
    await using world = new JobWorld()
    const first = await world.leader()
    await first.jobManager.close()
    const second = await world.candidate({ id: 'jm-2' })
    expect(second.election.floor).toBe(2)
  })
})

describe('while EPOCH_OPEN is slow, the lease', () => {
  test('is lost and won again: only the newer epoch is acted under, the older is nobody’s', async () => {
    await using world = new JobWorld()
    const candidate = await world.candidate()
    const release = candidate.faults.hold(creating('log/'))
    candidate.election.win()
    await world.settle()
    candidate.election.lose()
    release()
    await world.until('its next campaign', () => candidate.elections.length === 2)
    candidate.election.win()
    await world.until('it leads', () => candidate.jobManager.facts().leading)
    const tm = await world.joined('tm-1')
    await world.until('the job runs', () => candidate.state === 'Running')
    await world.pass(30_000)
    const { epoch } = candidate.jobManager.facts()
    expect(tm.attempt).toBe(`${epoch}.1`)
    expect(world.kinds().filter((k) => k.startsWith('CLOSE') || k === 'DEPLOY')).toEqual(['DEPLOY'])
    expect(candidate.elections.map((e) => e.closed)).toEqual([true, false])
  })

  test('is lost, another JobManager leads, the slow record arrives at last: nothing happens', async () => {
    await using world = new JobWorld()
    const slow = await world.candidate()
    const quick = await world.candidate({ id: 'jm-2' })
    const release = slow.faults.hold(creating('log/'))
    slow.election.win()
    await world.settle()
    slow.election.lose()
    quick.election.win()
    await world.settle()
    const tm = world.taskManager('tm-1')
    tm.connect(quick.address)
    await world.until('the job runs', () => quick.state === 'Running')
    release()
    await world.pass(30_000)
    expect(quick.state).toBe('Running')
    expect(slow.jobManager.facts().leading).toBe(false)
    expect(epochs(world)).toEqual(['1 by jm-2'])
    expect(quick.master.view().restarts).toBe(0)
  })
})

describe('a JobManager whose store', () => {
  test('denies EPOCH_OPEN for minutes gives the lease back, tries again, and leads when it may', async () => {
    await using world = new JobWorld()
    const candidate = await world.candidate()
    const rotated = candidate.faults.refuse(creating('log/'), 'STO_DENIED')
    for (let minute = 0; minute < 5; minute++) {
      if (!candidate.election.closed) candidate.election.win()
      await world.pass(60_000)
    }
    expect(candidate.jobManager.facts()).toMatchObject({ leading: false, error: undefined })
    rotated()
    candidate.election.win()
    await world.settle()
    expect(candidate.jobManager.facts().leading).toBe(true)
    expect(candidate.elections.slice(0, -1).every((e) => e.closed)).toBe(true)
  })

  test('denies EPOCH_OPEN says so until it stands for the lease again', async () => {
    await using world = new JobWorld()
    const candidate = await world.candidate()
    candidate.faults.refuse(creating('log/'), 'STO_DENIED')
    candidate.election.win()
    await world.settle()
    expect(candidate.message).toMatch(/cannot open an epoch, trying again/)
    expect(candidate.jobManager.facts().error?.code).toBe('STO_DENIED')
  })

  test('is away at the start prepares again until it is there', async () => {
    await using world = new JobWorld()
    let isAway = true
    const away = new WeirError('STO_UNAVAILABLE', 'connect ECONNREFUSED')
    const candidate = await world.candidate({
      options: { probe: () => (isAway ? Promise.reject(away) : Promise.resolve()) },
    })
    await world.pass(60_000)
    expect(candidate.message).toBe('connect ECONNREFUSED')
    expect(candidate.jobManager.isReady).toBe(false)
    expect(candidate.state).toBe('Created')
    isAway = false
    await world.until('it stands for the lease', () => candidate.elections.length === 1, 10_000)
    expect(candidate.jobManager.isReady).toBe(true)
  })

  test('belongs to another job shows that, and stands for nothing', async () => {
    await using world = new JobWorld()
    const other = await world.leader()
    await other.jobManager.close()
    const job = { cluster: 'cluster-1', namespace: 'default', name: 'another', uid: 'uid-2' }
    const candidate = await world.candidate({ job })
    await world.pass(60_000)
    expect(candidate.state).toBe('Failed')
    expect(candidate.jobManager.facts().error?.code).toBe('STO_OWNED_BY_ANOTHER')
    expect(candidate.elections).toEqual([])
    expect(candidate.jobManager.isReady).toBe(true)
  })

  test('is away for seconds while it leads goes on: no task notices', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await world.running()
    const back = leader.faults.refuse(anything)
    await world.pass(20_000)
    back()
    await world.until('a checkpoint', () => tm.count('complete') > 0, 90_000)
    expect(leader.state).toBe('Running')
    expect(tm.count('deploy')).toBe(1)
  })

  test('is away for ten minutes while it leads goes on, and says which record waits', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await world.running()
    await world.until('a checkpoint', () => tm.count('complete') === 1)
    const back = leader.faults.refuse(anything)
    await world.pass(600_000)
    expect(leader.message).toMatch(
      /^running.* The outcome of CHECKPOINT at .* is open after \d+ tries: create/,
    )
    expect(leader.master.view().restarts).toBe(0)
    back()
    await world.until('the next checkpoint', () => tm.count('complete') === 2, 15_000)
    expect(tm.count('cancel')).toBe(0)
    expect(leader.message).not.toContain('is open')
  })

  test('is away when the job must restart waits, saying for what', async () => {
    await using world = new JobWorld()
    const { leader, taskManagers } = await world.running({ slots: 2 })
    const [first] = taskManagers
    await world.until('a checkpoint', () => first?.count('complete') === 1)
    const back = leader.faults.refuse(anything)
    first?.die()
    await world.joined('tm-3')
    await world.pass(600_000)
    expect(leader.state).toBe('Deploying')
    expect(leader.message).toMatch(/cannot read the restore point, trying again: get chk/)
    back()
    await world.until('the job runs', () => leader.state === 'Running', 15_000)
  })
})

describe('a JobManager that a person must help', () => {
  test.each([
    ['a module that cannot be loaded', 'CFG_MODULE'],
    ['a graph that is none', 'CFG_GRAPH'],
  ] as const)('because of %s shows it and stays up', async (_, code) => {
    await using world = new JobWorld()
    const plan = () => Promise.reject(new WeirError(code, 'job.ts line 3'))
    const candidate = await world.candidate({ options: { plan } })
    await world.pass(60_000)
    expect(candidate.jobManager.facts()).toMatchObject({
      state: 'Failed',
      message: 'job.ts line 3',
      error: { code },
    })
  })

  test('because the election cannot be reached by its settings shows it', async () => {
    await using world = new JobWorld()
    const openElection = (): never => {
      throw new WeirError('CFG_INVALID', 'Not a Redis URL: "http://redis"')
    }
    const candidate = await world.candidate({ options: { openElection } })
    await world.pass(60_000)
    expect(candidate.jobManager.facts()).toMatchObject({
      state: 'Failed',
      message: 'Not a Redis URL: "http://redis"',
      error: { code: 'CFG_INVALID' },
    })
  })

  test('only for a while, because an election broke, does not', async () => {
    await using world = new JobWorld()
    let tries = 0
    const openElection = () => {
      if (++tries < 3) throw new WeirError('NET_REFUSED', 'no thread for the lease')
      return new ScriptedElection()
    }
    const candidate = await world.candidate({ options: { openElection } })
    expect(candidate.message).toMatch(/cannot stand for the lease, trying again/)
    await world.until('it stands by', () => candidate.message === 'standing by', 10_000)
    await candidate.jobManager.close()
  })
})

describe('a JobManager whose run', () => {
  test('was closed before it started shows how, and stands for nothing', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await world.running()
    tm.sayFinished()
    await world.until('the end', () => leader.state === 'Finished')
    const late = await world.candidate({ id: 'jm-2' })
    expect(late.state).toBe('Finished')
    expect(late.elections).toEqual([])
  })

  test('is closed by another leader notices while it stands by, and gives up standing', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await world.running()
    const standby = await world.candidate({ id: 'jm-2' })
    tm.sayFinished()
    await world.until('the end', () => leader.state === 'Finished')
    await world.until('the standby has noticed', () => standby.state === 'Finished', 30_000)
    expect(standby.election.closed).toBe(true)
  })

  test('is over because a newer one has begun gives the lease back when it learns that', async () => {
    await using world = new JobWorld()
    const old = await world.candidate()
    const newer = await world.leader({ id: 'jm-of-run-2', run: 2 })
    old.election.win()
    await world.settle()
    expect(old.state).toBe('Suspended')
    expect(old.message).toBe('Run 1 is over: the log is at run 2.')
    expect(old.election.closed).toBe(true)
    await world.pass(60_000)
    expect(old.elections).toHaveLength(1)
    expect(newer.jobManager.facts().leading).toBe(true)
  })

  test('is over because a newer one has begun while it led ends, with its tasks left alone', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await world.running()
    await world.leader({ id: 'jm-of-run-2', run: 2 })
    await world.until('it has noticed', () => leader.state === 'Suspended')
    expect(leader.election.closed).toBe(true)
    expect(tm.count('cancel')).toBe(0)
  })
})

test('a standby reads the log all the time, so that little is left to read when it is elected', async () => {
  await using world = new JobWorld()
  const { leader } = await world.running({ checkpoint: { intervalMs: 1000 } })
  const standby = await world.candidate({ id: 'jm-2', checkpoint: { intervalMs: 1000 } })
  await world.pass(120_000)
  await leader.jobManager.close()
  let reads = 0
  standby.faults.watch(
    (operation, key) => operation === 'get' && key.startsWith('log/'),
    () => reads++,
  )
  standby.election.win()
  await world.settle()
  expect(standby.jobManager.facts().epoch).toBe(2)
  expect(reads).toBeLessThan(10)
})

test('whoever opens the log of a job that ran for long reads a snapshot and little more', async () => {
  await using world = new JobWorld()
  await world.running({ checkpoint: { intervalMs: 1000 } })
  await world.pass(400_000)
  expect(world.objects.list('log/').length).toBeGreaterThan(350)
  let reads = 0
  const prepared = await world.candidate({
    id: 'jm-3',
    watch: (operation, key) => void (operation === 'get' && key.startsWith('log/') && reads++),
  })
  expect(prepared.elections).toHaveLength(1)
  expect(reads).toBeLessThan(250)
})

test('savepoints of the log are shown', async () => {
  await using world = new JobWorld()
  const { leader } = await world.running()
  leader.master.savepoint('savepoint-1', 'mine')
  await world.settle()
  expect(leader.jobManager.savepoints).toMatchObject([{ id: 1, path: 'file:///job/mine', stop: false }])
})
