/**
 * Kills at the moments that count: between two steps of a checkpoint, seen in what the processes
 * ask of the S3 server.
 */
import { sleep, systemClock } from '#runtime/base/clock'
import type { Random } from '#sim/random'
import type { ProxiedRequest } from '#test/kit/faulty-proxy'
import { type Fault, type FaultKind, nothingToEnd } from '../fault.ts'
import type { S3Link } from '../links.ts'
import { JOB_MANAGERS, type Stage, TASK_MANAGERS } from '../stage.ts'

interface Moment {
  readonly text: string
  readonly method: string
  readonly url: RegExp
}

const MOMENTS: readonly Moment[] = [
  { text: 'a record of the commit log', method: 'PUT', url: /\/log\/\d+\.json/ },
  { text: 'a manifest', method: 'PUT', url: /\/manifest\.json/ },
  { text: 'prepared output', method: 'PUT', url: /\/out\/\.weir-/ },
  { text: 'published output', method: 'PUT', url: /\/out\/part-/ },
  { text: 'the removal of prepared output', method: 'DELETE', url: /\/out\/\.weir-/ },
]
const WHOM = ['its sender', 'all TaskManagers', 'everybody'] as const
type Whom = (typeof WHOM)[number]

/** A moment may never come: local output is not written to S3. */
const LIMIT_MS = 4000

function killAt(random: Random): Fault {
  const moment = random.pick(MOMENTS)
  const whom = random.pick(WHOM)
  const isCarriedOut = random.chance(0.6)
  return {
    text: `SIGKILL ${whom} at ${moment.text}, which is ${isCarriedOut ? 'still' : 'not'} carried out`,
    forMs: 0,
    async begin(stage) {
      const { promise: hit, resolve } = Promise.withResolvers<void>()
      let isOver = false
      const strike = (sender: string, request: ProxiedRequest) => {
        if (isOver || !isAt(moment, request)) return undefined
        isOver = true
        kill(stage, sender, whom)
        resolve()
        return isCarriedOut ? 'lose-answer' : 'cut'
      }
      const ends = [...stage.links.s3].map(([name, link]: [string, S3Link]) =>
        link.suffer((request) => strike(name, request)),
      )
      await Promise.race([hit, sleep(systemClock, LIMIT_MS)])
      ends.forEach((end) => end())
      if (!isOver) stage.story.tell('      the moment did not come')
      isOver = true
      return nothingToEnd
    },
  }
}

const isAt = ({ method, url }: Moment, request: ProxiedRequest): boolean =>
  request.method === method && url.test(request.url)

function kill(stage: Stage, sender: string, whom: Whom): void {
  const names =
    whom === 'its sender' ? [sender] : [...(whom === 'everybody' ? JOB_MANAGERS : []), ...TASK_MANAGERS]
  const killed = names.filter((name) => stage.run?.signal(name, 'SIGKILL') === true)
  stage.story.tell(`      ${sender} was about it; killed: ${killed.join(', ')}`)
}

export const AIMED_FAULTS: readonly FaultKind[] = [
  {
    name: 'kill-at',
    says: 'processes are killed between two steps of a checkpoint: when one of them writes to S3',
    draw: killAt,
  },
]
