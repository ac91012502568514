import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readJobLog } from '#cli/local/job-log'
import { LocalCluster } from '#cli/local/local-cluster'
import type { LocalJob } from '#cli/local/local-job'
import type { JobFacts } from '#runtime/contract/rest'
import { type TempDir, tempDir } from '#tools/servers/temp-dir'

const LIMIT_MS = 40_000
const MODULE = `import { blackhole, defineJob, generator } from 'weir-stream'
export default defineJob(({ env }) => {
  env.source('numbers', generator({ rate: 2000, make: n => ({ key: 'k' + (n % 10) }), splits: 2 }))
    .keyBy(r => r.key).count('counts').sink('out', blackhole())
})
`
let dir: TempDir
let cluster: LocalCluster | undefined
const job = (): LocalJob => ({
  name: 'kills',
  file: join(dir.path, 'job.ts'),
  module: { path: join(dir.path, 'job.ts') },
  args: {},
  taskManagers: 2,
  slots: 1,
  checkpoint: { intervalMs: 200, minPauseMs: 10 },
  restart: { delayMs: 100 },
})
/** Its sink prepares a transaction in each subtask at every checkpoint. */
const writing = (out: string): string =>
  MODULE.replaceAll('blackhole()', `files.jsonl(${JSON.stringify(out)})`).replace('blackhole', 'files')
const checkpointAfter =
  (id: number) =>
  ({ state, checkpoint }: JobFacts): boolean =>
    state === 'Running' && (checkpoint.last?.id ?? 0) > id

beforeEach(async () => {
  dir = await tempDir('kills')
  writeFileSync(join(dir.path, 'job.ts'), MODULE)
})
afterEach(async () => {
  await cluster?.kill()
  cluster = undefined
  await dir.remove()
})

test('killed processes come back, checkpoints continue, and the job stops and resumes', async () => {
  cluster = await LocalCluster.start({ job: job(), stateDir: join(dir.path, 'state') })
  const first = await cluster.waitFor('a checkpoint', checkpointAfter(0), LIMIT_MS)

  expect(cluster.killJobManager()).toBe(true)
  const led = await cluster.waitFor(
    'another leader with a checkpoint',
    (f) => f.epoch > first.epoch && checkpointAfter(first.checkpoint.last?.id ?? 0)(f),
    LIMIT_MS,
  )

  expect(cluster.killTaskManager(0)).toBe(true)
  const recovered = await cluster.waitFor(
    'a checkpoint after the recovery',
    (f) => f.restarts > led.restarts && checkpointAfter(led.checkpoint.last?.id ?? 0)(f),
    LIMIT_MS,
  )
  expect(recovered.recoveries[0]).toMatchObject({ checkpointId: expect.any(Number) })

  const outcome = await cluster.stop()
  expect(outcome).toMatchObject({ state: 'Suspended' })

  cluster = await LocalCluster.start({ job: job(), stateDir: join(dir.path, 'state') })
  expect(cluster.run).toMatchObject({ run: 2 })
  const resumed = await cluster.waitFor('running again', (f) => f.state === 'Running', LIMIT_MS)
  expect(resumed.restoredFrom).toContain(`chk/${outcome.facts?.checkpoint.last?.id}-`)
})

test('a power cut loses nothing that was checkpointed', async () => {
  cluster = await LocalCluster.start({ job: job(), stateDir: join(dir.path, 'state') })
  const facts = await cluster.waitFor('two checkpoints', checkpointAfter(1), LIMIT_MS)
  expect(await cluster.kill()).toMatchObject({ state: 'Killed' })
  cluster = await LocalCluster.start({ job: job(), stateDir: join(dir.path, 'state') })
  const resumed = await cluster.waitFor('running again', (f) => f.state === 'Running', LIMIT_MS)
  const restored = Number(/chk\/(\d+)-/.exec(resumed.restoredFrom ?? '')?.[1])
  expect(restored).toBeGreaterThanOrEqual(facts.checkpoint.last?.id ?? 0)
})

test('a fork has its checkpoint kept, says what it leaves, and is refused one that is gone', async () => {
  writeFileSync(join(dir.path, 'job.ts'), writing(join(dir.path, 'out')))
  cluster = await LocalCluster.start({ job: job(), stateDir: join(dir.path, 'state') })
  const facts = await cluster.waitFor('checkpoints', checkpointAfter(3), LIMIT_MS)
  const path = (name: string) => `${facts.storagePath}/chk/${name}`
  const copyOf = (from: string) => ({
    job: { ...job(), name: 'copy', restore: { path: from, allowNonRestoredState: false } },
    stateDir: join(dir.path, 'copy'),
  })
  await expect(LocalCluster.start(copyOf(path('1-1')))).rejects.toMatchObject({
    code: 'CKP_RESTORE',
    message: expect.stringContaining('does not retain that checkpoint. It retains '),
  })

  const last = facts.checkpoint.last?.path as string
  const copy = await LocalCluster.start(copyOf(last))
  try {
    const restored = await copy.waitFor('running', (f) => f.state === 'Running', LIMIT_MS)
    expect(restored.restoredFrom).toBe(last)
    await copy.waitFor('what is left', (f) => f.skipped.leftPending === 2, LIMIT_MS)
    await cluster.waitFor('three more', checkpointAfter((facts.checkpoint.last?.id ?? 0) + 3), LIMIT_MS)
    const log = await readJobLog(cluster.run.state, cluster.run.record)
    expect(log?.pins.map((p) => p.by)).toEqual([`default/copy/${copy.run.record.uid}`])
    expect(log?.retained.map((c) => c.id)).toContain(facts.checkpoint.last?.id)
  } finally {
    await copy.kill()
  }
})

test('a JobManager that cannot start ends the start with what it said', async () => {
  const bad = { ...job(), checkpoint: { intervalMs: 1 } }
  await expect(LocalCluster.start({ job: bad, stateDir: join(dir.path, 'state') })).rejects.toThrow(
    /intervalMs/,
  )
  cluster = await LocalCluster.start({ job: job(), stateDir: join(dir.path, 'state') })
})
