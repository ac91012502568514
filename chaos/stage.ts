/**
 * The job with all that it stands on: servers, damageable ways to them, input that keeps coming,
 * output that is read. run.ts opens it, checks it and takes it away; performance.ts lets the faults
 * of a plan act on it and awaits progress after them.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '#runtime/base/clock'
import { messageOf } from '#runtime/base/errors'
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

export interface StageOptions {
  readonly directory: string
  readonly seed: number
  readonly setting: Setting
  readonly story: Story
  readonly machine: Machine
}

interface Parts extends StageOptions {
  readonly redis: RedisServer
  readonly s3: S3Server
  readonly disks: Disks | undefined
  readonly links: Links
  readonly clocks: Clocks
  /** All of it, and what is added: the runs, the input. */
  readonly owned: AsyncDisposableStack
}

/** A job that goes its own way from a savepoint of the first. */
export interface Fork {
  readonly run: JobRun
  readonly output: OutputReader
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
  readonly #runs: JobRun[] = []
  readonly #owned: AsyncDisposableStack
  /** Of the newest run that was to be started, whether it could be or not. */
  #settings: RunSettings
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
    this.#settings = {
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
      await stage.#start(stage.#settings)
      return stage
    } catch (error) {
      // Why it could not be opened is what is thrown, whatever comes of taking the rest away.
      await owned.disposeAsync().catch((it: unknown) => options.story.tell(`left over: ${messageOf(it)}`))
      throw error
    }
  }

  /** The run that is there; undefined between two, and after one that could not be started. */
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
   * restore block stays until it has acted. `next` is given the settings of the newest run that was
   * to be started: one that failed to start may be in the log all the same.
   */
  async replace(next: (settings: RunSettings) => RunSettings, graceMs = 0): Promise<JobRun> {
    const old = this.#run
    this.#run = undefined
    await old?.close(graceMs)
    return await this.#start(next(await withoutActedBlock(this.#settings, this.#ground)))
  }

  /** A second job, from a savepoint of the first, which lives on. */
  async startFork(savepoint: string, settings: RunSettings, output: 'local' | 's3'): Promise<void> {
    const place = this.#outputPlace(output, 'fork')
    const run = await this.#launch(
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
    this.#fork = { run, output: place.reader }
  }

  /**
   * Resolves when the job completes a checkpoint that began after the call; gives the milliseconds.
   * @throws when there is no run, nobody leads it, or it completes none within `limitMs`
   */
  async progress(limitMs: number): Promise<number> {
    const run = this.#run
    if (run === undefined) throw new Error('no progress can be awaited: there is no run')
    const began = performance.now()
    const { checkpoint } = await run.askLeader(limitMs)
    // What the leader knows now; it may know of none that another one completed before.
    const newest = Math.max(
      checkpoint.inProgress ?? 0,
      checkpoint.last?.id ?? 0,
      this.#newestCheckpointSeen(run.settings.uid),
    )
    await eventually(
      () => {
        const leader = run.watcher.leader()
        const isBack = leader?.facts.state === 'Running'
        // The next one may have begun between the answer and now.
        if (isBack && (leader?.facts.checkpoint.last?.id ?? 0) >= newest + 2) return true
        throw new Error(
          leader === undefined ? 'nobody leads' : `${leader.facts.state}, ${leader.facts.message}`,
        )
      },
      {
        limitMs: limitMs - (performance.now() - began),
        what: `progress (checkpoint ${newest + 2} or a later one)`,
        everyMs: 20,
      },
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
    const endsAndSavepoints = this.#runs.reduce((sum, run) => sum + 1 + run.savepoints, 0)
    const mayHaveLeftLitter = this.recoveries + endsAndSavepoints
    let unpublishedFiles = 0
    for (const lineage of this.#lineages())
      unpublishedFiles += await requireNoLitter(lineage, mayHaveLeftLitter)
    const jobs = this.#runs.map(({ settings }) => settings)
    const roots = [...new Map(jobs.map((it) => [it.uid, it])).values()]
    return {
      records: records.reduce((sum, count) => sum + count, 0),
      objects: unpublishedFiles + (await requireTidy(join(this.s3.dir, BUCKET), roots)),
    }
  }

  /** Lines of logs that tell of a defect. */
  defects(): string[] {
    return this.#runs.flatMap(({ directory }) => defectsIn(directory))
  }

  get recoveries(): number {
    return this.#runs.reduce((sum, { watcher }) => sum + watcher.recoveries, 0)
  }

  /**
   * Ends every job; the servers stay, so that what was written can be looked at.
   * @throws when one of them cannot be ended, after all were tried
   */
  async endJobs(): Promise<void> {
    const ends = await Promise.allSettled(this.#runs.map((run) => run.close(0)))
    for (const end of ends) if (end.status === 'rejected') throw end.reason
  }

  /** Ends and takes away everything that it can, whatever of it fails. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#owned.disposeAsync()
  }

  async #start(settings: RunSettings): Promise<JobRun> {
    this.#settings = settings
    this.#run = await this.#launch(settings, this.#ground)
    return this.#run
  }

  async #launch(settings: RunSettings, ground: RunGround): Promise<JobRun> {
    const run = this.#owned.use(await JobRun.start(settings, ground))
    this.#runs.push(run)
    return run
  }

  /** By any run under this uid. */
  #newestCheckpointSeen(uid: string): number {
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
