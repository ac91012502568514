import { silentLogger } from '#runtime/base/logger'
import type { RestorePoint } from '#runtime/contract/checkpoint-records'
import type { ExecutionPlan } from '#runtime/contract/job-plan'
import { taskManagerConfig } from '#runtime/contract/process-config'
import type { Deployment } from '#runtime/contract/rpc'
import { TaskManager } from '#runtime/task-manager/task-manager'
import { settled } from '#runtime/testing/test-clock'
import { JOB } from './commit-log.ts'
import { planOf } from './job-world.ts'
import { MemoryDisk } from './memory-stores.ts'
import { MemoryTransport } from './memory-transport.ts'
import { ScriptedJobManager } from './scripted-job-manager.ts'
import { ScriptedSlots } from './scripted-slots.ts'
import { TOKEN } from './scripted-task-manager.ts'
import { StoreFaults } from './store-faults.ts'
import { WatchedClock } from './watched-clock.ts'

/** A real TaskManager with slots and a store that the test commands. */
export interface TaskManagerUnderTest {
  readonly taskManager: TaskManager
  readonly slots: ScriptedSlots
  readonly faults: StoreFaults
  /** Of its data server. */
  readonly dataAddress: string
}

/**
 * TaskManagers with scripted slots, scripted JobManagers, a store and a network in one process,
 * under one clock. What is left behind is an error.
 */
export class TaskWorld implements AsyncDisposable {
  readonly clock = new WatchedClock()
  readonly transport = new MemoryTransport()
  readonly disk = new MemoryDisk(() => this.clock.now())
  readonly #jobManagers: ScriptedJobManager[] = []
  readonly #taskManagers: TaskManager[] = []
  readonly #rejections: unknown[] = []
  readonly #onRejection = (reason: unknown): void => void this.#rejections.push(reason)

  constructor() {
    process.on('unhandledRejection', this.#onRejection)
  }

  async jobManager(id = 'jm-1', epoch = 1): Promise<ScriptedJobManager> {
    const jobManager = await new ScriptedJobManager(id).listen(this.transport)
    jobManager.epoch = epoch
    this.#jobManagers.push(jobManager)
    return jobManager
  }

  async taskManager(given: { id?: string; slots?: number; orphanTimeoutMs?: number } = {}) {
    const { id = 'tm-1', slots: count = 1, orphanTimeoutMs = 60_000 } = given
    const config = taskManagerConfig.parse({
      job: JOB,
      run: 1,
      id,
      slots: count,
      jobManagers: this.#jobManagers.map((j) => j.address),
      tokenFile: 'token',
      storage: { type: 'file', root: '/job' },
      data: { host: '127.0.0.1', port: 0, advertise: '127.0.0.1' },
      orphanTimeoutMs,
    })
    const [slots, faults] = [new ScriptedSlots(), new StoreFaults()]
    const taskManager = new TaskManager({
      config,
      token: TOKEN,
      stores: this.disk.stores(faults),
      transport: this.transport,
      threads: slots,
      clock: this.clock,
      random: () => 0.5,
      logger: silentLogger,
    })
    this.#taskManagers.push(taskManager)
    await taskManager.open()
    await this.settle()
    const dataAddress =
      this.#jobManagers.flatMap((j) => j.all('hello')).findLast((m) => m.id === id)?.dataAddress ?? ''
    return { taskManager, slots, faults, dataAddress } satisfies TaskManagerUnderTest
  }

  /** An attempt with one subtask in the first slot of each TaskManager. */
  deployment(
    attempt: string,
    taskManagers: Readonly<Record<string, string>>,
    given: { restore?: RestorePoint; plan?: ExecutionPlan } = {},
  ): Deployment {
    const ids = Object.keys(taskManagers)
    const { restore = { kind: 'empty' }, plan = planOf(ids.length, 'plan') } = given
    return {
      attempt,
      planHash: plan.hash,
      plan,
      parallelism: ids.length,
      module: { name: 'job.ts', source: '', sha256: '', args: {} },
      places: plan.vertices.flatMap((v) =>
        ids.map((taskManager, subtask) => ({ vertex: v.id, subtask, taskManager, slot: 0 })),
      ),
      dataAddresses: taskManagers,
      restore,
      sinks: { committedUpTo: 0, savepoints: [] },
    }
  }

  settle(): Promise<void> {
    return this.clock.runFor(0)
  }

  pass(ms: number): Promise<void> {
    return this.clock.runFor(ms)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#taskManagers.map((t) => t.close()))
    await Promise.all(this.#jobManagers.map((j) => j.die()))
    await settled()
    await settled()
    process.off('unhandledRejection', this.#onRejection)
    const left = [
      ...this.#rejections.map((reason) => `unhandled rejection: ${String(reason)}`),
      ...this.clock.pending.map((at) => `timer set at ${at}`),
      ...this.transport.open.map((remote) => `connection with ${remote}`),
    ]
    if (left.length > 0) throw new Error(`Left behind: ${left.join('\n')}`)
  }
}
