import type { RestoreOptions } from '#runtime/contract/job-options'
import type { OperationView } from '#runtime/contract/rest'
import type { StopRequest } from '#runtime/job-manager/job-phase'
import type { SimDeployment } from './deployment.ts'
import { simJob, type SimJobArgs, type SinkUid } from './job.ts'
import { checkLine, checkPrefix, type Line } from './ledger.ts'
import type { OutputKind } from './output.ts'
import type { Random } from './random.ts'
import type { Simulation } from './simulation.ts'

/**
 * What people and the operator do in a run. Each scenario ends when all of its jobs have ended, and
 * then the output is checked.
 */
export async function playScenario(sim: Simulation): Promise<void> {
  const [name, play] = sim.world.random.pick(SCENARIOS)
  sim.scenario = name
  await play(new Stage(sim))
}

const SCENARIOS: readonly (readonly [string, (stage: Stage) => Promise<void>])[] = [
  ['finish', finish],
  ['finish', finish],
  ['stop and resume', stopAndResume],
  ['stop and resume', stopAndResume],
  ['stop and resume', stopAndResume],
  ['drain', drain],
  ['fork', fork],
  ['rewind', rewind],
  ['take over', takeOver],
]

async function finish(stage: Stage): Promise<void> {
  const run = stage.run('a', 1)
  stage.takeSavepoints(run)
  await stage.ended(run)
  stage.check({ name: 'a', jobs: new Set(['a']), fromRun: 1, isWhole: true, isFinished: true })
}

async function stopAndResume(stage: Stage): Promise<void> {
  const first = stage.run('a', 1)
  stage.takeSavepoints(first)
  await stage.sleepUpTo(2500)
  await stage.stop(first)
  const second = stage.run('a', 2)
  await stage.ended(second)
  stage.check({ name: 'a', jobs: new Set(['a']), fromRun: 1, isWhole: true, isFinished: true })
}

async function drain(stage: Stage): Promise<void> {
  const run = stage.run('a', 1)
  await stage.sleepUpTo(2500)
  await stage.stop(run, true)
  const isDrained = stage.sim.oracle.job('a').closed.get(1) === 'Drained'
  stage.check({ name: 'a', jobs: new Set(['a']), fromRun: 1, isWhole: true, isFinished: false, isDrained })
}

/** Another job starts from a savepoint while its source goes on; neither disturbs the other. */
async function fork(stage: Stage): Promise<void> {
  const source = stage.run('a', 1)
  const path = await stage.savepoint(source)
  if (path !== undefined) {
    const heir = stage.run('b', 1, { path, allowNonRestoredState: false })
    await stage.ended(heir)
    stage.sim.world.coverage.reach('forked')
    stage.check({ name: 'b', jobs: new Set(['b']), fromRun: 1, isWhole: false, isFinished: true })
  }
  await stage.ended(source)
  stage.check({ name: 'a', jobs: new Set(['a']), fromRun: 1, isWhole: true, isFinished: true })
}

/** The job goes back to a savepoint of its own after it went on for a while. */
async function rewind(stage: Stage): Promise<void> {
  const first = stage.run('a', 1)
  const path = await stage.savepoint(first)
  if (path === undefined) return stage.ended(first)
  await stage.sleepUpTo(1500)
  await stage.stop(first)
  const second = stage.run('a', 2, { path, allowNonRestoredState: false })
  await stage.ended(second)
  stage.sim.world.coverage.reach('rewound')
  const line: Line = { name: 'a', jobs: new Set(['a']), fromRun: 2, isWhole: false, isFinished: true }
  stage.check(line)
  checkPrefix(stage.sim.world, line, stage.args, stage.sim.output.committed)
}

/** A job that has ended is taken over by another one, with what it left uncommitted. */
async function takeOver(stage: Stage): Promise<void> {
  const source = stage.run('a', 1)
  await stage.sleepUpTo(2500)
  const left = await stage.stop(source)
  if (left === undefined) return
  const heir = stage.run('b', 1, { path: left, allowNonRestoredState: false })
  await stage.ended(heir)
  stage.sim.world.coverage.reach('taken over')
  stage.check({ name: 'a and b', jobs: new Set(['a', 'b']), fromRun: 1, isWhole: true, isFinished: true })
}

/** How sinks name what they prepare: attempt, subtask, and the checkpoint that it begins after. */
const TRANSACTION = /(\d+\.\d+)[-/]\d+[-/](\d+)(?:\.\w+)?$/

/** The hands of an operator and of people. */
class Stage {
  readonly sim: Simulation
  readonly args: SimJobArgs
  readonly #random: Random
  readonly #outputs: Readonly<Record<SinkUid, OutputKind>>
  #asked = 0
  /** Of the last run. */
  #parallelism: number | undefined

  constructor(sim: Simulation) {
    this.sim = sim
    this.#random = sim.world.random.fork()
    const count = this.#random.between(60, 400)
    this.args = {
      count,
      rate: this.#random.pick([100, 200, 400]),
      splits: this.#random.pick([1, 2, 4]),
      keys: this.#random.pick([1, 3, 7, 20]),
      run: 0,
    }
    const output = (): OutputKind => this.#random.pick(['disk', 'bucket', 'external'])
    this.#outputs = { 'numbers-out': output(), 'windows-out': output(), 'late-out': output() }
    if (this.#random.chance(0.4)) this.#consume()
  }

  run(name: string, run: number, restore?: RestoreOptions): SimDeployment {
    const random = this.#random
    const parallelism = random.pick([1, 2, 2, 2, 3])
    const slots = random.pick([1, 1, 2])
    const taskManagers = Math.ceil(parallelism / slots) + (random.chance(0.3) ? 1 : 0)
    const before = this.#parallelism
    if (before !== undefined && before !== parallelism) this.sim.world.coverage.reach('rescaled')
    this.#parallelism = parallelism
    return this.sim.deploy({
      name,
      job: { cluster: 'sim', namespace: 'sim', name, uid: name },
      run,
      definition: simJob((uid) => this.sim.output.sinkOf(this.#outputs[uid], name, uid)),
      args: this.args,
      parallelism,
      jobManagers: random.pick([1, 2, 2, 3]),
      taskManagers,
      slots,
      restore,
    })
  }

  /** Consumers take output away, until the end. */
  #consume(): void {
    const everyMs = this.#random.pick([20, 100, 400])
    const next = (): void => {
      this.sim.output.consumeOne()
      this.sim.world.clock.after(everyMs * (0.5 + this.#random.next()), next)
    }
    next()
  }

  async sleepUpTo(ms: number): Promise<void> {
    await this.sim.sleep(this.#random.between(0, ms))
  }

  /** Waits for the run's end and takes its processes away. */
  async ended(run: SimDeployment): Promise<void> {
    await this.sim.until(() => run.hasEnded)
    if (run.state === 'Failed') this.sim.world.violate('failed', `${run.options.name}: ${run.message}`)
    this.#checkAnswers(run)
    await this.#retire(run)
  }

  #checkAnswers(run: SimDeployment): void {
    const asked = run.leader?.master?.operations.views ?? []
    for (const { status, type, triggerId } of asked)
      if (status === 'InProgress')
        this.sim.world.violate('I12', `the ${type} that "${triggerId}" asked for is never answered`)
  }

  /** Savepoints now and then, as long as the run lasts. */
  takeSavepoints(run: SimDeployment): void {
    const ask = (): void => {
      if (run.isRetired) return
      run.leader?.master?.savepoint(`now and then ${++this.#asked}`, undefined)
      this.sim.world.clock.after(this.#random.between(100, 1500), ask)
    }
    if (this.#random.chance(0.5)) this.sim.world.clock.after(this.#random.between(0, 800), ask)
  }

  /** Path of a savepoint that was taken; undefined when the run ended before there was one. */
  async savepoint(run: SimDeployment): Promise<string | undefined> {
    await this.sleepUpTo(2000)
    for (;;) {
      const done = await this.#ask(run, (id) => run.leader?.master?.savepoint(id, undefined))
      if (done === 'over') return undefined
      if (done.status === 'Completed') return done.path
    }
  }

  /** Stops the run; gives the path of what it left to restore from. */
  async stop(run: SimDeployment, drains = false): Promise<string | undefined> {
    for (;;) {
      const request: Omit<StopRequest, 'triggerId'> = {
        savepoint: this.#random.chance(0.5) ? { path: this.#path() } : undefined,
        drain: drains,
      }
      if (this.#random.chance(0.2)) this.#join(run)
      const done = await this.#ask(run, (triggerId) => run.leader?.master?.stop({ triggerId, ...request }))
      if (done !== 'over' && done.status === 'Failed') {
        this.#noteFailedStop(done)
        await this.sleepUpTo(300)
        if (!run.hasEnded) continue
      }
      await this.ended(run)
      return this.#left(run)
    }
  }

  #noteFailedStop({ error }: OperationView): void {
    const reason: unknown = error?.context['reason']
    const isRefusal = reason === 'NOT_ALL_REQUIRED_TASKS_RUNNING'
    this.sim.world.coverage.reach(isRefusal ? 'stop refused' : 'stop failed')
  }

  check(line: Line): void {
    const { world, output } = this.sim
    checkLine(world, line, this.args, output.committed)
    // What a job left that another one has taken over is nobody's to remove: it might be resumed.
    if (!line.isWhole || !line.isFinished || line.jobs.size > 1) return
    for (const job of line.jobs)
      for (const left of output.preparedOf(job))
        if (!this.#isSpared(job, left))
          world.violate('I13', `${line.name} has finished, and ${left} is still there, not committed`)
  }

  /**
   * A savepoint that is in the log holds the transaction: a restore of it will want it. Or its
   * request arrived when its attempt was over, perhaps behind the look for what is to be removed.
   */
  #isSpared(job: string, name: string): boolean {
    const [, attempt, after] = TRANSACTION.exec(name) ?? []
    const { savepoints, attempts } = this.sim.oracle.job(job)
    const isHeld = savepoints.some((s) => s.attempt === attempt && Number(after) < s.id)
    const successor = attempts[attempts.findIndex((a) => a.attempt === attempt) + 1]
    return isHeld || (successor !== undefined && this.sim.output.createdMs(name) > successor.atMs)
  }

  #path(): string | undefined {
    if (this.#random.chance(0.5)) return undefined
    return this.#random.pick([`mine/${++this.#asked}`, `s3://sim/elsewhere/${++this.#asked}`])
  }

  /** Somebody else asks for a stop at about the same time. */
  #join(run: SimDeployment): void {
    const triggerId = `another stop ${++this.#asked}`
    this.sim.world.clock.after(this.#random.between(0, 200), () => {
      const { master } = run.leader ?? {}
      if (master === undefined) return
      if (master.view().state === 'Stopping') this.sim.world.coverage.reach('stop joined')
      master.stop({ triggerId, savepoint: undefined, drain: false })
    })
  }

  /** What the run that has ended left, as its log says. */
  #left(run: SimDeployment): string | undefined {
    const { job } = run.options
    const record = this.sim.oracle.job(job.uid)
    const status = record.closed.get(run.options.run)
    const { newest } = record
    const { coverage } = this.sim.world
    if (status === 'Drained') coverage.reach('drained')
    else if (newest.kind === 'savepoint') coverage.reach('stop with savepoint')
    else if (newest.kind === 'checkpoint') coverage.reach('stop with checkpoint')
    if (newest.kind === 'empty') return undefined
    return newest.kind === 'savepoint' ? newest.path : `s3://sim/${job.uid}/${newest.manifest}`
  }

  /** Asks again whoever leads until the operation has ended, or the run has. */
  async #ask(
    run: SimDeployment,
    ask: (triggerId: string) => OperationView | undefined,
  ): Promise<OperationView | 'over'> {
    const triggerId = `request ${++this.#asked}`
    for (;;) {
      if (run.hasEnded) return 'over'
      const view = run.leader?.master?.operations.find(triggerId) ?? ask(triggerId)
      if (view !== undefined && view.status !== 'InProgress') return view
      await this.sim.sleep(15)
    }
  }

  async #retire(run: SimDeployment): Promise<void> {
    run.isRetired = true
    await run.terminate()
  }
}
