/**
 * How a run ends: as its last record says, with everything committed, and without a source having
 * been started again, whatever dies on the way.
 */
import { describe, expect, test } from 'vitest'
import { toErrorData, WeirError } from '#runtime/base/errors'
import type { Candidate } from '#test/kit/job-world'
import { JobWorld } from '#test/kit/job-world'
import type { ScriptedTaskManager } from '#test/kit/scripted-task-manager'
import { creating, reading } from '#test/kit/store-faults'

type Ending = 'Finished' | 'Suspended' | 'Drained' | 'Suspended with a savepoint'
const ENDINGS: readonly Ending[] = ['Finished', 'Suspended', 'Drained', 'Suspended with a savepoint']
const statusOf = (ending: Ending): string => ending.split(' ')[0] as string

function end(ending: Ending, leader: Candidate, tm: ScriptedTaskManager): void {
  if (ending === 'Finished') return tm.sayFinished()
  const savepoint = ending === 'Suspended with a savepoint' ? { path: undefined } : undefined
  leader.master.stop({ triggerId: 'stop-1', savepoint, drain: ending === 'Drained' })
}

/**
 * A leader and a standby; the record with which the run ends is in the log, no sink has committed.
 */
async function ending(world: JobWorld, how: Ending) {
  const { leader, tm } = await world.running()
  const standby = await world.candidate({ id: 'jm-2' })
  tm.connect(standby.address)
  await world.settle()
  tm.does.commit = false
  end(how, leader, tm)
  await world.settle()
  expect((await world.log()).ending).toEqual({ status: statusOf(how), id: 1 })
  expect(leader.state).toBe('Stopping')
  return { leader, standby, tm }
}

function ended(world: JobWorld, shown: Candidate, how: Ending): void {
  const status = statusOf(how)
  expect(shown.state).toBe(status)
  expect(world.kinds().filter((k) => k.startsWith('CLOSE'))).toEqual([`CLOSE ${status}`])
  expect(world.records().at(-1)).toMatchObject({ committedUpTo: 1 })
}

describe.each(ENDINGS)('a run that is to end as %s, its last record in the log,', (how) => {
  test('ends so when its sinks have committed', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await ending(world, how)
    tm.commit(1)
    await world.settle()
    ended(world, leader, how)
    expect(tm.execution).toBeUndefined()
  })

  test('ends so when the TaskManager dies before the commits', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await ending(world, how)
    tm.die()
    const second = await world.joined('tm-2')
    await world.until('the end', () => leader.state === statusOf(how))
    ended(world, leader, how)
    expect(second.count('deploy')).toBe(1)
    expect(second.count('start')).toBe(0)
    expect(second.execution).toBeUndefined()
  })

  test('ends so when TaskManagers die again and again while they restore to commit', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await ending(world, how)
    tm.die()
    for (let i = 2; i < 6; i++) {
      const next = world.taskManager(`tm-${i}`)
      next.does.deploy = false
      next.connect(leader.address)
      await world.until('its deployment', () => next.count('deploy') === 1)
      next.die()
    }
    const last = await world.joined('tm-9')
    await world.until('the end', () => leader.state === statusOf(how))
    ended(world, leader, how)
    expect(last.count('start')).toBe(0)
  })

  test('ends so when a TaskManager dies between the commits and CLOSE', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await ending(world, how)
    const release = leader.faults.hold(creating('log/'))
    tm.commit(1)
    await world.settle()
    tm.die()
    await world.pass(5000)
    expect(leader.state).toBe('Stopping')
    release()
    await world.settle()
    ended(world, leader, how)
    expect(leader.master.view().restarts).toBe(0)
  })

  test('ends so when the leader dies and its successor finds the tasks', async () => {
    await using world = new JobWorld()
    const { leader, standby, tm } = await ending(world, how)
    await leader.jobManager.close()
    tm.does.commit = true
    standby.election.win()
    await world.settle()
    ended(world, standby, how)
    expect(tm.count('deploy')).toBe(1)
  })

  test('ends so when leader and TaskManager die', async () => {
    await using world = new JobWorld()
    const { leader, standby, tm } = await ending(world, how)
    await leader.jobManager.close()
    tm.die()
    standby.election.win()
    const second = await world.joined('tm-2')
    await world.until('the end', () => standby.state === statusOf(how))
    ended(world, standby, how)
    expect(second.count('start')).toBe(0)
  })

  test('ends so when the successor adopts, and the TaskManager dies before the commits', async () => {
    await using world = new JobWorld()
    const { leader, standby, tm } = await ending(world, how)
    await leader.jobManager.close()
    standby.election.win()
    await world.settle()
    expect(standby.message).toMatch(/^waiting for sinks|goes on under epoch 2 to commit 1$/)
    tm.die()
    const second = await world.joined('tm-2')
    await world.until('the end', () => standby.state === statusOf(how))
    ended(world, standby, how)
    expect(second.count('start')).toBe(0)
  })

  test('ends so when CLOSE is in doubt for minutes', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await ending(world, how)
    const faults = [leader.faults.loseAnswers(creating('log/')), leader.faults.refuse(reading('log/'))]
    tm.commit(1)
    await world.pass(180_000)
    expect(leader.state).toBe('Stopping')
    expect(leader.message).toMatch(/The outcome of CLOSE .* is open/)
    for (const mend of faults) mend()
    await world.until('the end', () => leader.state === statusOf(how))
    ended(world, leader, how)
  })

  test('ends so when CLOSE is denied for minutes', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await ending(world, how)
    const rotated = leader.faults.refuse(creating('log/'), 'STO_DENIED')
    tm.commit(1)
    await world.pass(180_000)
    expect(leader.message).toMatch(/cannot write the end of the run to the log, trying again/)
    rotated()
    await world.until('the end', () => leader.state === statusOf(how), 15_000)
    ended(world, leader, how)
  })

  test('ends so when the leader dies while CLOSE is in doubt, and stood in the log', async () => {
    await using world = new JobWorld()
    const { leader, standby, tm } = await ending(world, how)
    leader.faults.loseAnswers(creating('log/'))
    leader.faults.refuse(reading('log/'))
    tm.commit(1)
    await world.pass(5000)
    await leader.jobManager.close()
    standby.election.win()
    await world.settle()
    ended(world, standby, how)
    expect(standby.election.closed).toBe(true)
  })

  test('ends so when a task fails for good after the commits', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await ending(world, how)
    const release = leader.faults.hold(creating('log/'))
    tm.commit(1)
    tm.sayFailed(toErrorData(new WeirError('CKP_COMMIT_LOST', 'transaction 7 is gone')))
    await world.settle()
    release()
    await world.settle()
    ended(world, leader, how)
  })
})

describe('a run whose sources have ended', () => {
  test('retries its last checkpoint until it completes', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await world.running({ checkpoint: { tolerableFailures: 100 } })
    const mended = leader.faults.refuse(creating('chk/'), 'STO_DENIED')
    tm.sayFinished()
    await world.pass(30_000)
    expect(leader.state).toBe('Stopping')
    expect(leader.message).toMatch(/end of data/)
    mended()
    await world.until('the end', () => leader.state === 'Finished')
    expect(leader.master.view().restarts).toBe(0)
  })

  test('is closed as Failed when its sinks have lost what they were to commit', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await ending(world, 'Finished')
    tm.sayFailed(toErrorData(new WeirError('CKP_COMMIT_LOST', 'transaction 7 is gone')))
    await world.settle()
    expect(leader.state).toBe('Failed')
    expect(world.kinds().at(-1)).toBe('CLOSE Failed')
    expect(leader.jobManager.facts().error?.code).toBe('CKP_COMMIT_LOST')
  })
})

describe('a run that has ended', () => {
  test('gives the lease back, and goes on to show how it ended', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await ending(world, 'Finished')
    tm.commit(1)
    await world.settle()
    expect(leader.election.closed).toBe(true)
    expect(leader.elections).toHaveLength(1)
    tm.broadcast({ type: 'fenced', epoch: 9 })
    await world.pass(120_000)
    expect(leader.state).toBe('Finished')
    expect(leader.message).toBe('finished; everything is committed with 1')
  })

  test('cancels what a TaskManager that was away still runs', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await ending(world, 'Finished')
    const stray = tm.execution
    tm.commit(1)
    await world.settle()
    tm.execution = stray
    await world.until('it is cancelled', () => tm.execution === undefined, 1000)
    expect(leader.state).toBe('Finished')
  })

  test('with too many failures says so, and its last checkpoint stays the restore point', async () => {
    await using world = new JobWorld()
    const { leader, tm } = await world.running({ restart: { maxAttempts: 2, delayMs: 10 } })
    await world.until('a checkpoint', () => tm.count('complete') === 1)
    for (let i = 0; i < 3; i++) {
      await world.until('it runs', () => leader.state === 'Running')
      tm.sayFailed(toErrorData(new WeirError('USR_FAILED', 'map threw: x is undefined')))
      await world.settle()
    }
    expect(leader.state).toBe('Failed')
    expect(leader.message).toMatch(/map threw: x is undefined \(3 failures within 10m/)
    expect((await world.log()).restorePoint).toMatchObject({ kind: 'checkpoint', id: 1 })
  })
})
