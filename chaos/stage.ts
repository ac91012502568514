/**
 * The job with all that it stands on: servers, damageable ways to them, input that keeps coming,
 * output that is read. Faults act on it.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '#runtime/base/clock'
import { S3Objects } from '#runtime/storage/s3-objects'
import { eventually } from '#tools/servers/eventually'
import { startRedis, type RedisServer } from '#tools/servers/redis'
import { startS3, type S3Server } from '#tools/servers/s3'
import { Clocks } from './clocks.ts'
import { InputWriter, intoBucket, intoDirectory } from './input.ts'
import { hasDeployed, JobRun, type RunGround, type RunSettings } from './job-run.ts'
import { Links } from './links.ts'
import { type Machine, SmallDisk } from './machine.ts'
import { defectsIn } from './logs.ts'
import { OutputReader } from './output.ts'
import { recordsOf } from './records.ts'
import type { Setting } from './setting.ts'
import type { Story } from './story.ts'
import { type Lineage, requireComplete, requireNoLitter, requireRight, requireTidy } from './verdict.ts'

export const BUCKET = 'chaos'
export const JOB_MANAGERS = ['jm-1', 'jm-2'] as const
export const TASK_MANAGERS = ['tm-1', 'tm-2', 'tm-3'] as const
export const MODULES = {
  first: join(import.meta.dirname, 'jobs', 'count.ts'),
  upgraded: join(import.meta.dirname, 'jobs', 'count-upgraded.ts'),
} as const

/** Each of the small disks; several times what a run writes. */
const DISK_MIB = 128
const LEASE_TTL_MS = 2000
const STOP_LIMIT_MS = 30_000

interface Disks {
  readonly output: SmallDisk
  readonly s3: SmallDisk
}

interface Parts {
  readonly directory: string
  readonly seed: number
  readonly setting: Setting
  readonly story: Story
  readonly machine: Machine
  readonly redis: RedisServer
  readonly s3: S3Server
  readonly disks: Disks | undefined
  readonly links: Links
  readonly clocks: Clocks
  /** All of it, and what is added. */
  readonly owned: AsyncDisposableStack
}

/** A job that goes its own way from a savepoint of the first. */
export interface Fork {
  readonly run: JobRun
  readonly output: OutputReader
}

export interface StageOptions {
  readonly directory: string
  readonly seed: number
  readonly setting: Setting
  readonly story: Story
  readonly machine: Machine
}

export class Stage implements AsyncDisposable {
  readonly story: Story
  readonly machine: Machine
  readonly redis: RedisServer
  readonly s3: S3Server
  readonly disks: Disks | undefined
  readonly links: Links
  readonly clocks: Clocks
  readonly input: InputWriter
  readonly output: OutputReader
  readonly #seed: number
  readonly #directory: string
  readonly #ground: RunGround
  readonly #first: RunSettings
  readonly #runs: JobRun[] = []
  readonly #owned: AsyncDisposableStack
  #run: JobRun | undefined
  #fork: Fork | undefined
  #turn: Promise<unknown> = Promise.resolve()

  private constructor(parts: Parts) {
    const { directory, seed, setting, story, s3, links, clocks, owned } = parts
    this.#owned = owned
    this.story = story
    this.machine = parts.machine
    this.redis = parts.redis
    this.s3 = s3
    this.disks = parts.disks
    this.links = links
    this.clocks = clocks
    this.#seed = seed
    this.#directory = directory
    const bucket = owned.adopt(new S3Objects(BUCKET, s3.access, systemClock), (it) => it.close())
    const inputs = join(directory, 'input')
    const put = setting.input === 'local' ? intoDirectory(inputs) : intoBucket(bucket, 'input/')
    this.input = owned.use(new InputWriter(seed, put, systemClock))
    const output = this.#outputPlace(setting.output, 'out')
    this.output = output.reader
    this.#ground = {
      directory,
      story,
      bucket: BUCKET,
      s3: s3.access,
      redis: { url: parts.redis.url, keyPrefix: 'weir', ttlMs: LEASE_TTL_MS },
      differences: {
        jobManager: (name, config) => links.jobManager(name, config),
        taskManager: (name, config) => links.taskManager(name, config),
        environment: (name) => clocks.environment(name),
      },
    }
    this.#first = {
      name: 'job',
      uid: 'uid-1',
      run: 1,
      module: MODULES.first,
      input: setting.input === 'local' ? inputs : `s3://${BUCKET}/input/`,
      output: output.path,
      jobManagers: JOB_MANAGERS.length,
      taskManagers: setting.taskManagers,
      slots: setting.slots,
      parallelism: setting.parallelism,
    }
  }

  static async open(options: StageOptions): Promise<Stage> {
    const { directory, machine } = options
    const owned = new AsyncDisposableStack()
    try {
      const disks = 'at' in machine.tmpfs ? await mountDisks(directory, owned) : undefined
      const redis = owned.adopt(await startRedis(), async (it) => {
        // Whatever state it is in.
        await it.kill()
        await it.stop()
      })
      const s3 = owned.adopt(await startS3(disks === undefined ? {} : { dir: disks.s3.path }), async (it) => {
        await it.kill()
        await it.stop()
      })
      await s3.bucket(BUCKET)
      const links = owned.use(
        await Links.start({
          s3Endpoint: s3.endpoint,
          redisPort: redis.port,
          jobManagers: JOB_MANAGERS,
          taskManagers: TASK_MANAGERS,
        }),
      )
      const names = [...JOB_MANAGERS, ...TASK_MANAGERS]
      const clocks = new Clocks(machine.faketime, join(directory, 'clocks'), names)
      const stage = new Stage({ ...options, redis, s3, disks, links, clocks, owned })
      await stage.replace(() => stage.#first)
      return stage
    } catch (error) {
      await owned.disposeAsync()
      throw error
    }
  }

  /** The run that is there; undefined between two. */
  get run(): JobRun | undefined {
    return this.#run
  }
  get fork(): Fork | undefined {
    return this.#fork
  }

  /** What a user does waits for what a user did before. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work)
    this.#turn = done.catch(() => undefined)
    return done
  }

  /**
   * Ends the run, if there is one, and starts the next. `graceMs` 0: the old one is killed. A
   * restore block stays until it has acted.
   */
  async replace(next: (settings: RunSettings) => RunSettings, graceMs = 0): Promise<JobRun> {
    const old = this.#run
    this.#run = undefined
    await old?.close(graceMs)
    const settings = old === undefined ? this.#first : await withoutActedBlock(old.settings, this.#ground)
    const run = await JobRun.start(next(settings), this.#ground)
    this.#runs.push(run)
    this.#run = run
    return run
  }

  /** A second job, from a savepoint of the first, which lives on. */
  async startFork(savepoint: string, settings: RunSettings, output: 'local' | 's3'): Promise<void> {
    const place = this.#outputPlace(output, 'fork')
    const run = await JobRun.start(
      {
        ...settings,
        name: 'fork',
        uid: 'uid-fork',
        run: 1,
        output: place.path,
        jobManagers: 1,
        taskManagers: 1,
        slots: settings.parallelism,
        restore: { path: savepoint, allowNonRestoredState: false },
      },
      // Its ways are not damaged: it has processes of its own.
      {
        ...this.#ground,
        differences: {
          jobManager: (_name, config) => config,
          taskManager: (_name, config) => config,
          environment: () => ({}),
        },
      },
    )
    this.#runs.push(run)
    this.#fork = { run, output: place.reader }
  }

  /**
   * Resolves when the job completes checkpoints that began after the call; gives the milliseconds.
   */
  async progress(limitMs: number): Promise<number> {
    const began = performance.now()
    const before = this.#newestCheckpoint(this.#run?.settings.uid)
    await eventually(
      () => {
        const leader = this.#run?.watcher.leader()
        const isBack = leader?.facts.state === 'Running'
        // The first one may have begun before.
        if (isBack && (leader?.facts.checkpoint.last?.id ?? 0) >= before + 2) return true
        throw new Error(
          leader === undefined ? 'nobody leads' : `${leader.facts.state}, ${leader.facts.message}`,
        )
      },
      { limitMs, what: 'progress (two more checkpoints)', everyMs: 20 },
    )
    return performance.now() - began
  }

  /** @throws when a job has failed, or what has come out so far is wrong */
  async check(): Promise<void> {
    for (const { watcher } of this.#runs) if (watcher.failure !== undefined) throw new Error(watcher.failure)
    const inputSoFar = () => recordsOf(this.#seed, this.input.files)
    for (const lineage of this.#lineages()) await requireRight(lineage, inputSoFar)
  }

  /**
   * Ends the input, waits until all of it has come out, stops the jobs, and checks again.
   * @throws when anything is not as it must be
   */
  async finish(): Promise<{ readonly records: number; readonly objects: number }> {
    await this.input.end()
    const input = recordsOf(this.#seed, this.input.files)
    const records: number[] = []
    for (const lineage of this.#lineages()) records.push(await requireComplete(lineage, input))
    for (const run of [this.#run, this.#fork?.run])
      if (run !== undefined && (await run.stop({ mode: 'checkpoint' }, STOP_LIMIT_MS)) === undefined)
        throw new Error(`${run.settings.name} was not stopped within ${STOP_LIMIT_MS} ms`)
    await this.endJobs()
    for (const lineage of this.#lineages()) await requireComplete(lineage, input)
    await this.check()
    const causes = this.recoveries + this.#runs.reduce((sum, run) => sum + 1 + run.savepoints, 0)
    let hidden = 0
    for (const lineage of this.#lineages()) hidden += await requireNoLitter(lineage, causes)
    const jobs = this.#runs.map(({ settings }) => settings)
    const roots = [...new Map(jobs.map((it) => [it.uid, it])).values()]
    return {
      records: records.reduce((sum, count) => sum + count, 0),
      objects: hidden + requireTidy(join(this.s3.dir, BUCKET), roots),
    }
  }

  /** Lines of logs that tell of a defect. */
  defects(): string[] {
    return this.#runs.flatMap(({ directory }) => defectsIn(directory))
  }

  get recoveries(): number {
    return this.#runs.reduce((sum, { watcher }) => sum + watcher.recoveries, 0)
  }

  /** Ends every job; the servers stay, so that what was written can be looked at. */
  async endJobs(): Promise<void> {
    await this.#fork?.run.close(0)
    await this.#run?.close(0)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.endJobs()
    await this.#owned.disposeAsync()
  }

  #newestCheckpoint(uid: string | undefined): number {
    const runs = this.#runs.filter(({ settings }) => settings.uid === uid)
    return Math.max(0, ...runs.map(({ watcher }) => watcher.lastCheckpoint))
  }

  #lineages(): Lineage[] {
    const job: Lineage = { name: 'job', output: this.output, beginning: 'empty' }
    if (this.#fork === undefined) return [job]
    return [job, { name: 'fork', output: this.#fork.output, beginning: 'savepoint' }]
  }

  #outputPlace(kind: 'local' | 's3', name: string) {
    if (kind === 's3')
      return {
        path: `s3://${BUCKET}/${name}/`,
        reader: new OutputReader(join(this.s3.dir, BUCKET, name)),
      }
    const path = join(this.disks?.output.path ?? this.#directory, name)
    return { path, reader: new OutputReader(path) }
  }
}

async function withoutActedBlock(settings: RunSettings, ground: RunGround): Promise<RunSettings> {
  if (settings.restore === undefined || !(await hasDeployed(settings, ground))) return settings
  const { restore: _acted, ...rest } = settings
  return rest
}

async function mountDisks(directory: string, owned: AsyncDisposableStack): Promise<Disks> {
  const mount = async (name: string): Promise<SmallDisk> => {
    const path = join(directory, name)
    mkdirSync(path, { recursive: true })
    return owned.adopt(await SmallDisk.mount(path, DISK_MIB), (disk) => disk.unmount())
  }
  return { output: await mount('output-disk'), s3: await mount('s3-disk') }
}
