import type { Random } from '#sim/random'
import { type End, type Fault, type FaultKind, lasting, seconds } from '../fault.ts'
import type { S3Fault } from '../links.ts'
import { JOB_MANAGERS, type Stage, TASK_MANAGERS } from '../stage.ts'
import type { Direction, TcpProxy } from '../tcp-proxy.ts'
import { drawVictims, namesOf } from './victims.ts'

const SHORT = { from: 200, to: 4000 }
const LONG = { from: 11_000, to: 14_000 }

/** How a way is damaged; `held` arrives late when it heals, unless the connections break then. */
interface Damage {
  readonly text: string
  readonly held: readonly Direction[] | 'cut'
  readonly breaksAtEnd: boolean
}

function drawDamage(random: Random): Damage {
  const breaksAtEnd = random.chance(0.3)
  const [text, held] = random.pick([
    ['cut', 'cut'],
    ['nothing gets through', ['requests', 'answers']],
    ['nothing gets there', ['requests']],
    ['nothing comes back', ['answers']],
  ] as const)
  return { text: `${text}${breaksAtEnd ? ', connections break at the end' : ''}`, held, breaksAtEnd }
}

function damage(proxies: readonly TcpProxy[], { held, breaksAtEnd }: Damage): End {
  for (const proxy of proxies)
    if (held === 'cut') proxy.cut()
    else proxy.hold(held)
  return () => {
    for (const proxy of proxies) {
      if (breaksAtEnd) proxy.breakConnections()
      proxy.heal()
    }
  }
}

function partition(
  random: Random,
  text: string,
  proxiesOf: (stage: Stage) => readonly (TcpProxy | undefined)[],
): Fault {
  const how = drawDamage(random)
  const forMs = lasting(random, SHORT, LONG)
  return {
    text: `${text}: ${how.text}, for ${seconds(forMs)}`,
    forMs,
    begin: (stage) =>
      damage(
        proxiesOf(stage).filter((proxy) => proxy !== undefined),
        how,
      ),
  }
}

/** What becomes of requests to the S3 server; `late`: they arrive when the way has healed. */
const S3_DAMAGES = ['cut', 'silence', 'lose-answer', 'keep-answer', 'late'] as const

function s3Partition(random: Random): Fault {
  const victims = drawVictims(random)
  const how = random.pick(S3_DAMAGES)
  const breaksAtEnd = random.chance(0.5)
  const forMs = lasting(random, SHORT, LONG)
  return {
    text: `S3 from ${victims.join(', ')}: ${how}, for ${seconds(forMs)}`,
    forMs,
    begin(stage) {
      const { promise: healed, resolve } = Promise.withResolvers<undefined>()
      const fault: S3Fault = () => (how === 'late' ? healed : how)
      const links = namesOf(victims, stage).flatMap((name) => stage.links.s3.get(name) ?? [])
      const ends = links.map((link) => link.suffer(fault))
      return () => {
        ends.forEach((end) => end())
        resolve(undefined)
        if (breaksAtEnd) links.forEach(({ proxy }) => proxy.breakConnections())
      }
    },
  }
}

function redisPartition(random: Random): Fault {
  const victims = random.pick([['leader'], ['standby'], [...JOB_MANAGERS]] as const)
  return partition(random, `Redis from ${victims.join(', ')}`, (stage) =>
    namesOf(victims, stage).map((name) => stage.links.redis.get(name)),
  )
}

function rpcPartition(random: Random): Fault {
  const taskManagers = random.pick([['tm-1'], ['tm-2'], [...TASK_MANAGERS]] as const)
  const jobManager = random.pick(['leader', 'standby', 'both'] as const)
  const to = jobManager === 'both' ? JOB_MANAGERS : ([jobManager] as const)
  return partition(random, `${taskManagers.join(', ')} from JobManager ${jobManager}`, (stage) => {
    const indexes = namesOf(to, stage).map((name) => JOB_MANAGERS.findIndex((it) => it === name))
    return taskManagers.flatMap((name) => indexes.map((index) => stage.links.rpc.get(name)?.[index]))
  })
}

function dataPartition(random: Random): Fault {
  const taskManager = random.pick(TASK_MANAGERS.slice(0, 2))
  return partition(random, `data of TaskManagers to ${taskManager}`, (stage) => [
    stage.links.data.get(taskManager)?.proxy,
  ])
}

export const NETWORK_FAULTS: readonly FaultKind[] = [
  {
    name: 'partition-s3',
    says: 'single processes lose S3: cut, never answered, answers lost after the request, requests late',
    draw: s3Partition,
  },
  {
    name: 'partition-redis',
    says: 'single JobManagers lose Redis: cut, or silent in one direction or both',
    draw: redisPartition,
  },
  {
    name: 'partition-rpc',
    says: 'TaskManagers and JobManagers lose each other: cut, or silent in one direction or both',
    draw: rpcPartition,
  },
  {
    name: 'partition-data',
    says: 'TaskManagers lose each other: cut, or silent in one direction or both',
    draw: dataPartition,
  },
]
