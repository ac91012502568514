import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { JobProcesses, type JobProcessesOptions } from '#test/kit/job-processes'
import { checkSequences } from '#test/kit/sequence-output'
import { tempDir } from '#tools/servers/temp-dir'

const module = fileURLToPath(new URL('../fixtures/jobs/sequence.ts', import.meta.url))

async function start(
  root: string,
  given: Partial<JobProcessesOptions> & { readonly count: number; readonly rate?: number },
) {
  const output = join(root, 'out')
  const endsWith = join(root, 'end')
  await mkdir(output, { recursive: true })
  const { count, rate, ...options } = given
  const processes = await JobProcesses.start({
    directory: join(root, `processes-${options.run ?? 1}`),
    module,
    args: { count, output, endsWith, ...(rate === undefined ? {} : { rate }) },
    storage: { type: 'file', root: join(root, 'storage') },
    jobManagers: 1,
    taskManagers: 2,
    slots: 2,
    ...options,
  })
  const finished = async () => {
    await writeFile(endsWith, '')
    const { facts } = await processes.leader('the end', (f) => f.state === 'Finished', 60_000)
    expect(await checkSequences(output)).toEqual({ offences: [], records: count })
    return facts
  }
  return { processes, finished }
}

describe('exactly once over real processes', () => {
  test('no record is lost or repeated when TaskManagers and the JobManager are killed', async () => {
    await using root = await tempDir('exactly-once')
    const { processes, finished } = await start(root.path, { count: 60_000, rate: 8000 })
    await using _ = processes
    const kill = async (what: string, names: readonly string[]) => {
      const { facts } = await processes.leader(
        `a completed checkpoint before ${what}`,
        (f) => f.state === 'Running' && f.checkpoint.completed > 0,
      )
      await Promise.all(names.map((name) => processes.signal(name, 'SIGKILL')))
      for (const name of names) processes.spawn(name)
      const last = facts.checkpoint.last?.id ?? 0
      await processes.leader(
        `running again after ${what}`,
        (f) => f.state === 'Running' && (f.checkpoint.last?.id ?? 0) > last,
      )
    }
    await kill('the death of a TaskManager', ['tm-1'])
    await kill('the death of both TaskManagers', ['tm-1', 'tm-2'])
    await kill('the death of the JobManager', ['jm-1'])
    await finished()
  })

  test('a stopped job goes on at another parallelism where it stopped', async () => {
    await using root = await tempDir('rescale')
    const first = await start(root.path, { count: 40_000, rate: 20_000 })
    {
      await using processes = first.processes
      await processes.leader('some checkpoints', (f) => f.checkpoint.completed >= 3)
      await processes.post('jm-1', '/jobs/current/stop', { triggerId: 'stop', mode: 'checkpoint' })
      await processes.leader('suspended', (f) => f.state === 'Suspended')
    }
    const second = await start(root.path, { count: 40_000, run: 2, taskManagers: 1, slots: 3 })
    await using _ = second.processes
    const facts = await second.finished()
    expect(facts.restoredFrom).toMatch(/chk\//)
    expect(facts.parallelism).toBe(3)
  })

  test('SIGTERM of a TaskManager takes a checkpoint and moves the job without a failure', async () => {
    await using root = await tempDir('leave')
    const { processes, finished } = await start(root.path, {
      count: 30_000,
      rate: 8000,
      taskManagers: 3,
      slots: 2,
      parallelism: 4,
      checkpointIntervalMs: 60_000,
    })
    await using _ = processes
    await processes.leader('running', (f) => f.state === 'Running' && f.records.in > 0)
    const victim = await processes.busyTaskManager()
    await processes.signal(victim, 'SIGTERM')
    processes.spawn(victim)
    const facts = await finished()
    expect(facts.restarts).toBe(1)
    expect(facts.recoveries[0]?.checkpointId).toBe(1)
  })

  test('a TaskManager that stops answering is given up, and does no harm when it wakes', async () => {
    await using root = await tempDir('stopped')
    const { processes, finished } = await start(root.path, {
      count: 60_000,
      rate: 6000,
      taskManagers: 3,
      slots: 2,
      parallelism: 4,
    })
    await using _ = processes
    const { facts: before } = await processes.leader(
      'a completed checkpoint',
      (f) => f.state === 'Running' && f.checkpoint.completed > 0,
    )
    const victim = await processes.busyTaskManager()
    await processes.signal(victim, 'SIGSTOP')
    await processes.leader(
      'running without it',
      (f) => f.state === 'Running' && f.attempt !== before.attempt,
      30_000,
    )
    await processes.signal(victim, 'SIGCONT')
    await processes.leader('all its slots free again', (f) => f.taskManagers === 3 && f.slots.free === 2)
    await finished()
  })
})
