import { join } from 'node:path'
import { JobProcesses } from '#test/kit/job-processes'
import type { RedisServer } from '#tools/servers/redis'
import type { S3Server } from '#tools/servers/s3'
import { checkSequences } from '#test/kit/sequence-output'
import { FactsStream } from './facts-stream.ts'

export interface Servers {
  readonly redis: RedisServer
  readonly s3: S3Server
}

/** Processes of a job beside what every job of this bench has. */
export interface Cast {
  readonly jobManagers: number
  readonly taskManagers: number
  /** Without: the only candidate leads at once, as in `weir run`. */
  readonly withRedis: boolean
}

export const RATE = 20_000
export const KEYS = 20_000
export const PARALLELISM = 4
export const SLOTS = 2
export const CHECKPOINT_INTERVAL_MS = 1000
const WARM_CHECKPOINTS = 3

/** The steady job on real processes, S3 and Redis, running and with some checkpoints behind it. */
export class Stage implements AsyncDisposable {
  readonly servers: Servers
  readonly processes: JobProcesses
  readonly stream: FactsStream
  readonly #output: string

  private constructor(servers: Servers, processes: JobProcesses, stream: FactsStream, output: string) {
    this.servers = servers
    this.processes = processes
    this.stream = stream
    this.#output = output
  }

  static async open(servers: Servers, name: string, directory: string, cast: Cast): Promise<Stage> {
    const { redis, s3 } = servers
    const bucket = await s3.bucket(name)
    const processes = await JobProcesses.start({
      directory: join(directory, name),
      module: join(import.meta.dirname, 'steady-job.ts'),
      args: { rate: RATE, keys: KEYS, output: `s3://${bucket}/out/` },
      storage: { type: 's3', bucket, root: 'jobs/default/job/uid-1', access: s3.access },
      ...(cast.withRedis ? { redis: { url: redis.url, keyPrefix: bucket, ttlMs: 2000 } } : {}),
      jobManagers: cast.jobManagers,
      taskManagers: cast.taskManagers,
      slots: SLOTS,
      parallelism: PARALLELISM,
      checkpointIntervalMs: CHECKPOINT_INTERVAL_MS,
    })
    const stream = new FactsStream(processes.urls)
    const stage = new Stage(servers, processes, stream, join(s3.dir, bucket, 'out'))
    try {
      await stream.first(
        'a running job',
        ({ facts }) => facts.state === 'Running' && facts.checkpoint.completed >= WARM_CHECKPOINTS,
      )
    } catch (error) {
      await stage[Symbol.asyncDispose]()
      throw error
    }
    return stage
  }

  get leader(): string {
    const { leader } = this.stream.seen.at(-1)?.facts ?? {}
    if (leader === undefined) throw new Error('No JobManager leads.')
    return leader
  }

  /**
   * Stops the job with a checkpoint and checks all that was committed; gives the number of records.
   * @throws when anything was lost or repeated
   */
  async finish(): Promise<number> {
    await this.processes.client(this.leader).triggerStop({ triggerId: 'end', mode: 'checkpoint' })
    await this.stream.first('a stopped job', ({ facts }) => facts.state === 'Suspended')
    const { offences, records } = await checkSequences(this.#output)
    if (offences.length > 0) throw new Error(`The output is wrong: ${offences.slice(0, 5).join('; ')}`)
    return records
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stream[Symbol.asyncDispose]()
    await this.processes[Symbol.asyncDispose]()
  }
}
