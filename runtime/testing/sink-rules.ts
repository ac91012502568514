/**
 * What connectors/sink.ts promises about checkpoints and restores, as lives of a job that any sink
 * must pass: what readers find at the end, whatever became of the job.
 */
import { WeirError } from '#runtime/base/errors'
import { Crash } from './port-steps.ts'
import type { SinkJob, SinkJobOptions } from './sink-job.ts'

/** The place that a sink writes to, with a job on it. */
export interface SinkWorld {
  readonly job: SinkJob
  readonly isExactlyOnce: boolean
  /** Another job in the same place. */
  jobOf(options?: Partial<SinkJobOptions>): SinkJob
  /** Throws unless readers find these records, by number, each as often as here. */
  expectRecords(expected: readonly number[]): Promise<void>
  /** Throws when anything is stored that is not visible, where that can be seen. */
  expectNothingHidden(): Promise<void>
}

export interface SinkRule {
  /** As a sentence without an end: what must hold. */
  readonly rule: string
  readonly live: (world: SinkWorld) => Promise<void>
}

export const upTo = (position: number): number[] => Array.from({ length: position }, (_, n) => n)

/** A job that has a savepoint between two checkpoints, and another one that forks from it. */
async function fork({ job: source, jobOf }: SinkWorld): Promise<SinkJob> {
  await source.start()
  source.send(1)
  await source.checkpoint()
  source.send(1)
  const savepoint = await source.savepoint()
  const other = jobOf({ uid: 'job-b' })
  await other.start({ from: savepoint, lineage: 'fork' })
  return other
}

async function forkAndSource(world: SinkWorld, order: readonly ('fork' | 'source')[]): Promise<void> {
  const { job: source } = world
  const forked = await fork(world)
  forked.send(1)
  source.send(1)
  for (const who of order) await (who === 'fork' ? forked : source).checkpoint()
  await source.stop()
  await forked.kill()
  await forked.start()
  await forked.stop()
  await world.expectRecords([0, 1, 2, 2])
}

/** A job that goes on past a savepoint to another checkpoint, and then dies. */
export async function diedPastSavepoint(job: SinkJob) {
  await job.start()
  job.send(1)
  await job.checkpoint()
  job.send(1)
  const savepoint = await job.savepoint()
  job.send(1)
  await job.checkpoint()
  await job.kill()
  return savepoint
}

/** A savepoint after a checkpoint, then a failure, and another checkpoint. */
async function savepointThenFailure({ job }: SinkWorld) {
  await job.start()
  job.send(1)
  await job.checkpoint()
  job.send(1)
  const savepoint = await job.savepoint()
  await job.kill()
  await job.start()
  job.send(1)
  return savepoint
}

const VISIBILITY: readonly SinkRule[] = [
  {
    rule: 'a transaction becomes visible with its commit, not before',
    async live({ job, isExactlyOnce, expectRecords }) {
      await job.start()
      job.send(2)
      await job.log()
      if (isExactlyOnce) await expectRecords([])
      await job.permit()
      await expectRecords([0, 1])
    },
  },
  {
    rule: 'a restore commits what its checkpoint holds, and committing it again changes nothing',
    async live({ job, expectRecords }) {
      await job.start()
      job.send(1)
      await job.log()
      await job.kill()
      for (let restart = 0; restart < 3; restart++) {
        await job.start()
        await expectRecords([0])
        await job.kill()
      }
      await job.start()
      await job.permit()
      job.send(1)
      await job.checkpoint()
      await job.permit()
      await expectRecords([0, 1])
    },
  },
  {
    rule: 'what no checkpoint holds is not output, and does not stay stored',
    async live({ job, isExactlyOnce, expectRecords, expectNothingHidden }) {
      await job.start()
      job.send(1)
      await job.checkpoint()
      job.send(1)
      await job.barrier()
      job.send(1)
      await job.kill()
      await job.start()
      if (isExactlyOnce) await expectRecords([0])
      await expectNothingHidden()
      job.send(2)
      await job.stop()
      await expectRecords([0, 1, 2])
    },
  },
  {
    rule: 'transactions of aborted checkpoints ride with the next one',
    async live({ job, expectRecords }) {
      await job.start()
      for (let i = 0; i < 3; i++) {
        job.send(1)
        await job.barrier()
      }
      job.send(1)
      await job.log()
      await job.kill()
      await job.start()
      await expectRecords([0, 1, 2, 3])
    },
  },
  {
    rule: 'a transaction is cut when prepare is called: what is written afterwards belongs to the next one',
    async live({ job, expectRecords }) {
      await job.start()
      job.send(1)
      const logged = job.log()
      job.send(1)
      await logged
      await job.kill()
      // Record 1 is not in the checkpoint, so the source gives it again.
      await job.start()
      job.send(1)
      await job.stop()
      await expectRecords([0, 1])
    },
  },
  {
    rule: 'a transaction may be prepared while those before it still are',
    async live({ job, expectRecords }) {
      await job.start()
      const prepared = [1, 2, 3].map(() => {
        job.send(1)
        return job.barrier()
      })
      await Promise.all(prepared)
      await job.log()
      await job.kill()
      await job.start()
      await expectRecords([0, 1, 2])
    },
  },
  {
    rule: 'prepared transactions survive another parallelism',
    async live({ job, expectRecords }) {
      await job.start({ parallelism: 1 })
      job.send(1)
      await job.barrier()
      job.send(1)
      await job.log()
      await job.kill()
      await job.start({ parallelism: 2 })
      job.send(2)
      await job.barrier()
      job.send(2)
      await job.log()
      await job.kill()
      await job.start({ parallelism: 1 })
      job.send(1)
      await job.stop()
      await expectRecords(upTo(7))
    },
  },
]

const LINEAGE: readonly SinkRule[] = [
  {
    rule: 'a job that takes over from an ended one commits what that one had prepared',
    async live({ job, jobOf, expectRecords }) {
      await job.start()
      job.send(2)
      const last = await job.log()
      await job.kill()
      const successor = jobOf({ uid: 'job-b' })
      await successor.start({ from: last })
      successor.send(1)
      await successor.stop()
      await expectRecords([0, 1, 2])
    },
  },
  {
    rule: 'a rewind to a savepoint writes again what came after it, and nothing before it',
    async live({ job, expectRecords }) {
      const savepoint = await diedPastSavepoint(job)
      await job.start({ from: savepoint, lineage: 'rewind' })
      job.send(1)
      await job.stop()
      await expectRecords([0, 1, 2, 2])
    },
  },
  {
    rule: 'a fork never touches what its source has prepared; the fork commits first',
    live: (world) => forkAndSource(world, ['fork', 'source']),
  },
  {
    rule: 'a fork never touches what its source has prepared; the source commits first',
    live: (world) => forkAndSource(world, ['source', 'fork']),
  },
  {
    rule: 'a source that fails after it was forked replays without a trace of the fork',
    async live(world) {
      const { job: source, expectRecords } = world
      const forked = await fork(world)
      await forked.stop()
      await source.kill()
      await source.start()
      source.send(1)
      await source.stop()
      await expectRecords([0, 1])
    },
  },
  {
    rule: 'a savepoint right after which its job failed and went on can be rewound to',
    async live(world) {
      const savepoint = await savepointThenFailure(world)
      const { job, expectRecords } = world
      await job.checkpoint()
      await job.kill()
      await job.start({ from: savepoint, lineage: 'rewind' })
      job.send(1)
      await job.stop()
      // Nothing says that record 1 was written again, and committed: see the last rule.
      await expectRecords([0, 1, 1, 2])
    },
  },
  {
    rule: 'a savepoint right after which its job failed and went on can be forked from',
    async live(world) {
      const savepoint = await savepointThenFailure(world)
      const { job, jobOf, expectRecords } = world
      await job.checkpoint()
      await job.kill()
      const forked = jobOf({ uid: 'job-b' })
      await forked.start({ from: savepoint, lineage: 'fork' })
      forked.send(1)
      await forked.stop()
      await expectRecords([0, 1, 2])
    },
  },
  {
    rule: 'what the log knows to be committed is not committed again',
    async live(world) {
      const savepoint = await savepointThenFailure(world)
      const { job, expectRecords } = world
      await job.stop()
      await job.start({ from: savepoint, lineage: 'rewind' })
      job.send(1)
      await job.stop()
      await expectRecords([0, 1, 2])
    },
  },
]

export const SINK_RULES: readonly SinkRule[] = [...VISIBILITY, ...LINEAGE]

/** What a job does after each of its records, until its end. */
export const ROUNDS = ['checkpoint', 'savepoint', 'aborted', 'checkpoint', 'checkpoint'] as const

/**
 * The whole life of a job, started again from its log whenever an attempt fails. `onFailure` comes
 * between two attempts.
 */
export async function liveWhole(
  job: SinkJob,
  onFailure: () => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  for (let attempts = 0; attempts < 5; attempts++) {
    try {
      return await attempt(job)
    } catch (error) {
      const mayGoOn = error instanceof Crash || (error instanceof WeirError && error.retry !== 'never')
      if (!mayGoOn) throw error
      await job.kill()
      await onFailure()
    }
  }
  throw new WeirError('USR_FAILED', 'The job does not come to its end in five attempts.', { retry: 'never' })
}

async function attempt(job: SinkJob): Promise<void> {
  await job.start()
  for (;;) {
    const round = ROUNDS[job.position]
    if (round === undefined) return job.stop()
    job.send(1)
    if (round === 'checkpoint') await job.checkpoint()
    else if (round === 'savepoint') await job.savepoint()
    else await job.barrier()
  }
}
