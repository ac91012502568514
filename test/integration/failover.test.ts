import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { JobProcesses } from '#test/kit/job-processes'
import { startRedis, type RedisServer } from '#tools/servers/redis'
import { startS3, type S3Server } from '#tools/servers/s3'
import { checkSequences } from '#test/kit/sequence-output'
import { tempDir } from '#tools/servers/temp-dir'

const module = fileURLToPath(new URL('../fixtures/jobs/sequence.ts', import.meta.url))
const COUNT = 60_000

let redis: RedisServer
let s3: S3Server
beforeAll(async () => {
  redis = await startRedis()
  s3 = await startS3()
})
afterAll(async () => {
  await redis.stop()
  await s3.stop()
})

/** The job on S3 and Redis with two candidates; output goes to the same S3 server. */
async function start(directory: string, bucket: string) {
  await s3.bucket(bucket)
  const endsWith = join(directory, 'end')
  const processes = await JobProcesses.start({
    directory,
    module,
    args: { count: COUNT, rate: 8000, endsWith, output: `s3://${bucket}/out/` },
    storage: { type: 's3', bucket, root: 'jobs/default/job/uid-1', access: s3.access },
    redis: { url: redis.url, keyPrefix: bucket, ttlMs: 1000 },
    jobManagers: 2,
    taskManagers: 2,
    slots: 2,
  })
  const other = (name: string) => (name === 'jm-1' ? 'jm-2' : 'jm-1')
  const running = (what: string, epochAbove: number) =>
    processes.leader(what, (f) => f.state === 'Running' && f.epoch > epochAbove && f.checkpoint.completed > 0)
  const finished = async () => {
    await writeFile(endsWith, '')
    await processes.leader('the end', (f) => f.state === 'Finished', 60_000)
    expect(await checkSequences(join(s3.dir, bucket, 'out'))).toEqual({ offences: [], records: COUNT })
  }
  return { processes, other, running, finished }
}

describe('two JobManagers, Redis and S3', () => {
  test('a standby takes over from a killed leader, no task restarts, nothing is lost', async () => {
    await using root = await tempDir('failover')
    const { processes, other, running, finished } = await start(root.path, 'killed')
    await using _ = processes
    const first = await running('the first leader', 0)
    await processes.signal(first.name, 'SIGKILL')
    const second = await running('the second leader', first.facts.epoch)
    expect(second.name).toBe(other(first.name))
    expect(second.facts.attempt).toBe(first.facts.attempt)
    processes.spawn(first.name)
    await finished()
    expect((await processes.facts(second.name)).restarts).toBe(0)
  })

  test('a leader that slept past its lease wakes up fenced and does no harm', async () => {
    await using root = await tempDir('paused')
    const { processes, other, running, finished } = await start(root.path, 'paused')
    await using _ = processes
    const first = await running('the first leader', 0)
    await processes.signal(first.name, 'SIGSTOP')
    const second = await running('the second leader', first.facts.epoch)
    expect(second.name).toBe(other(first.name))
    await processes.signal(first.name, 'SIGCONT')
    await finished()
  })

  test('the job runs on when Redis is emptied or away', async () => {
    await using root = await tempDir('redis-lost')
    const { processes, running, finished } = await start(root.path, 'redis-lost')
    await using _ = processes
    const { name, facts } = await running('the leader', 0)
    await redis.kill()
    const { facts: without } = await processes.leader(
      'checkpoints without Redis',
      (f) => f.epoch === facts.epoch && f.checkpoint.completed > facts.checkpoint.completed + 3,
    )
    expect(without.restarts).toBe(0)
    await redis.restart()
    await finished()
    expect((await processes.facts(name)).restarts).toBe(0)
  })

  test('checkpoints fail and the job goes on when the S3 server is away for a while', async () => {
    await using root = await tempDir('s3-lost')
    const { processes, running, finished } = await start(root.path, 's3-lost')
    await using _ = processes
    const { facts } = await running('the leader', 0)
    await s3.restart()
    await processes.leader(
      'checkpoints after the S3 server came back',
      (f) => (f.checkpoint.last?.id ?? 0) > (facts.checkpoint.last?.id ?? 0) + 1,
    )
    await finished()
  })
})
