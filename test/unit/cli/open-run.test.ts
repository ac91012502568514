import { expect, test } from 'vitest'
import { type LocalJob, LOCAL_DEFAULTS } from '#cli/local/local-job'
import { openRun } from '#cli/local/open-run'
import { openJobStore } from '#cli/local/job-log'
import { append, deployBody, openLog } from '#test/kit/commit-log'
import { tempDir } from '#tools/servers/temp-dir'

const RESTORE = { path: 'file:///savepoints/1', allowNonRestoredState: false }

const jobWith = (restoreKey: string): LocalJob => ({
  name: 'word-count',
  file: '/job.yaml',
  module: { path: '/job.ts' },
  args: {},
  taskManagers: 1,
  slots: 1,
  checkpoint: LOCAL_DEFAULTS.checkpoint,
  restart: LOCAL_DEFAULTS.restart,
  restore: RESTORE,
  restoreKey,
})

const open = (directory: string, job: LocalJob) => openRun(directory, job, { fresh: false, now: 0 })

/** One run that ends early, or after it was deployed. */
async function runOnce(directory: string, job: LocalJob, end: 'early' | 'deployed') {
  const opened = await open(directory, job)
  if (end === 'deployed') {
    const { state, record, run } = opened
    const store = openJobStore(state, record)
    const log = await openLog(store)
    await log.ensureOwner(record)
    const term = await log.openEpoch({ run, leader: 'jm-1', floor: 1 })
    await append(term, deployBody(`${term.epoch}.1`, { run }))
    await store.close()
  }
  opened.close()
  return opened.restore
}

test('a restore block that stays acts until a run with it was deployed, and then no more', async () => {
  await using directory = await tempDir('open-run')
  const job = jobWith('first')
  expect(await runOnce(directory.path, job, 'early')).toEqual(RESTORE)
  expect(await runOnce(directory.path, job, 'early')).toEqual(RESTORE)
  expect(await runOnce(directory.path, job, 'deployed')).toEqual(RESTORE)
  expect(await runOnce(directory.path, job, 'early')).toBeUndefined()
})

test('says which file the run before was of, where it was another one', async () => {
  await using directory = await tempDir('open-run')
  const runOf = async (file: string) => {
    const opened = await open(directory.path, { ...jobWith('first'), file })
    opened.close()
    return opened.otherFile
  }
  expect([await runOf('/a/job.ts'), await runOf('/a/job.ts'), await runOf('/b/job.ts')]).toEqual([
    undefined,
    undefined,
    '/a/job.ts',
  ])
})

test('a restore block that was changed acts again', async () => {
  await using directory = await tempDir('open-run')
  await runOnce(directory.path, jobWith('first'), 'deployed')
  expect(await runOnce(directory.path, jobWith('second'), 'early')).toEqual(RESTORE)
  expect(await runOnce(directory.path, jobWith('second'), 'deployed')).toEqual(RESTORE)
  expect(await runOnce(directory.path, jobWith('second'), 'early')).toBeUndefined()
})
