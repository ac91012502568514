import { connect } from 'node:net'
import { once } from 'node:events'
import { Random } from '#sim/random'
import { type Fault, type FaultKind, lasting, nothingToEnd, seconds } from '../fault.ts'
import type { S3Fault } from '../links.ts'

const SHORT = { from: 300, to: 4000 }
const LONG = { from: 8000, to: 12_000 }

const METHODS = {
  all: /^/,
  writes: /^(PUT|POST|DELETE)$/,
  reads: /^(GET|HEAD)$/,
} as const

/** A share of the requests of all processes is refused. */
function storm(random: Random, verdict: 'unavailable' | 'denied'): Fault {
  const share = random.pick([0.2, 0.6, 1])
  const methods = random.pick(['all', 'all', 'writes', 'reads'] as const)
  const forMs = lasting(random, SHORT, LONG)
  const dice = new Random(random.between(0, 0xffffffff))
  const status = verdict === 'denied' ? 403 : 503
  return {
    text: `S3 answers ${status} to ${share * 100} % of requests (${methods}) for ${seconds(forMs)}`,
    forMs,
    begin(stage) {
      const fault: S3Fault = ({ method }) =>
        METHODS[methods].test(method) && dice.chance(share) ? verdict : undefined
      const ends = [...stage.links.s3.values()].map((link) => link.suffer(fault))
      return () => ends.forEach((end) => end())
    },
  }
}

/** By its pid at the beginning: another fault may start another process meanwhile. */
const stopped = (name: 's3' | 'redis', forMs: number): Fault => ({
  text: `${name} stands still (SIGSTOP) for ${seconds(forMs)}`,
  forMs,
  begin(stage) {
    const { pid } = stage[name]
    process.kill(pid, 'SIGSTOP')
    return () => void process.kill(pid, 'SIGCONT')
  },
})

const killed = (name: 's3' | 'redis', forMs: number): Fault => ({
  text: `${name} is killed and away for ${seconds(forMs)}`,
  forMs,
  async begin(stage) {
    await stage[name].kill()
    return () => stage[name].restart()
  },
})

const flushed: Fault = {
  text: 'FLUSHALL in Redis',
  forMs: 0,
  async begin({ redis, story }) {
    const socket = connect({ port: redis.port, host: '127.0.0.1' })
    socket.end('FLUSHALL\r\nQUIT\r\n')
    const [answer] = (await once(socket, 'data')) as [Buffer]
    story.tell(`      redis says ${answer.toString().trim()}`)
    socket.destroy()
    return nothingToEnd
  },
}

export const SERVER_FAULTS: readonly FaultKind[] = [
  {
    name: 's3-unavailable',
    says: 'the S3 server answers 503 to some or all requests',
    draw: (random) => storm(random, 'unavailable'),
  },
  {
    name: 's3-denied',
    says: 'the S3 server answers 403 to some or all requests',
    draw: (random) => storm(random, 'denied'),
  },
  {
    name: 's3-stop',
    says: 'the S3 server stands still (SIGSTOP, SIGCONT)',
    alone: 's3-server',
    draw: (random) => stopped('s3', lasting(random, SHORT, LONG)),
  },
  {
    name: 's3-kill',
    says: 'the S3 server is killed and started again on its data',
    alone: 's3-server',
    draw: (random) => killed('s3', lasting(random, SHORT, LONG)),
  },
  {
    name: 'redis-flush',
    says: 'Redis is emptied (FLUSHALL)',
    alone: 'redis-server',
    draw: () => flushed,
  },
  {
    name: 'redis-stop',
    says: 'Redis stands still (SIGSTOP, SIGCONT)',
    alone: 'redis-server',
    draw: (random) => stopped('redis', lasting(random, SHORT, LONG)),
  },
  {
    name: 'redis-kill',
    says: 'Redis is killed and started again, empty',
    alone: 'redis-server',
    draw: (random) => killed('redis', lasting(random, SHORT, LONG)),
  },
]
