import { eventually } from '#tools/servers/eventually'
import type { Cast, Stage } from './stage.ts'

/**
 * One kind of death. What is killed is brought back where somebody else (a kubelet, `weir run`, an
 * administrator) would bring it back.
 */
export interface Kill {
  readonly name: string
  readonly title: string
  readonly cast: Cast
  /**
   * The job is expected to run on without a recovery while it lasts. When Redis is back and empty,
   * a standby may win the lease: that is counted.
   */
  readonly isHarmless: boolean
  /** Chooses the victim; what it gives does the deed and ends when all is back. */
  aim(stage: Stage): Promise<() => Promise<void>>
}

const REDIS_AWAY_MS = 5000
const alone: Cast = { jobManagers: 1, taskManagers: 2, withRedis: true }

export const KILLS: readonly Kill[] = [
  {
    name: 'task-manager',
    title: 'TaskManager, SIGKILL, its process started again',
    cast: alone,
    isHarmless: false,
    async aim(stage) {
      const victim = await stage.processes.busyTaskManager()
      return async () => {
        await stage.processes.signal(victim, 'SIGKILL')
        stage.processes.spawn(victim)
      }
    },
  },
  {
    name: 'task-manager-spare',
    title: 'TaskManager, SIGKILL, a spare one there',
    cast: { ...alone, taskManagers: 3 },
    isHarmless: false,
    async aim(stage) {
      const victim = await stage.processes.busyTaskManager()
      return () => stage.processes.signal(victim, 'SIGKILL')
    },
  },
  {
    name: 'task-manager-sigterm',
    title: 'TaskManager, SIGTERM, a spare one there',
    cast: { ...alone, taskManagers: 3 },
    isHarmless: false,
    async aim(stage) {
      const victim = await stage.processes.busyTaskManager()
      return () => stage.processes.signal(victim, 'SIGTERM')
    },
  },
  {
    name: 'leader',
    title: 'leading JobManager, SIGKILL, a standby there',
    cast: { ...alone, jobManagers: 2 },
    isHarmless: false,
    aim: (stage) => {
      const victim = stage.leader
      return Promise.resolve(() => stage.processes.signal(victim, 'SIGKILL'))
    },
  },
  {
    name: 'job-manager-redis',
    title: 'only JobManager, SIGKILL, started again, elected by Redis',
    cast: alone,
    isHarmless: false,
    aim: killOnlyJobManager,
  },
  {
    name: 'job-manager',
    title: 'only JobManager, SIGKILL, started again, without Redis',
    cast: { ...alone, withRedis: false },
    isHarmless: false,
    aim: killOnlyJobManager,
  },
  {
    name: 'redis',
    title: `Redis, SIGKILL, started again empty after ${REDIS_AWAY_MS / 1000} s`,
    cast: { ...alone, jobManagers: 2 },
    isHarmless: true,
    aim: ({ servers: { redis } }) =>
      Promise.resolve(async () => {
        await redis.kill()
        const back = performance.now() + REDIS_AWAY_MS
        await eventually(() => performance.now() >= back, {
          limitMs: REDIS_AWAY_MS * 2,
          what: 'the end of the outage',
          everyMs: 50,
        })
        await redis.restart()
      }),
  },
]

function killOnlyJobManager(stage: Stage): Promise<() => Promise<void>> {
  const victim = stage.leader
  return Promise.resolve(async () => {
    await stage.processes.signal(victim, 'SIGKILL')
    stage.processes.spawn(victim)
  })
}
