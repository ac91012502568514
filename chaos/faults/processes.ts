import type { Random } from '#sim/random'
import { type End, type Fault, type FaultKind, lasting, nothingToEnd, seconds } from '../fault.ts'
import { JOB_MANAGERS, type Stage, TASK_MANAGERS } from '../stage.ts'
import { drawVictims, namesOf, type Victim } from './victims.ts'

const EVERYBODY: readonly Victim[] = [...JOB_MANAGERS, ...TASK_MANAGERS]
/** Above the limits of heartbeats (10 s), leases (2 s) and orphaned TaskManagers (15 s). */
const BEYOND_LIMITS = { from: 16_000, to: 20_000 }

const signalled = (victims: readonly Victim[], signal: NodeJS.Signals, forMs = 0): Fault => ({
  text: `${signal} ${victims.join(', ')}${forMs === 0 ? '' : ` for ${seconds(forMs)}`}`,
  forMs,
  begin: (stage) => send(stage, namesOf(victims, stage), signal),
})

function send(stage: Stage, names: readonly string[], signal: NodeJS.Signals): End {
  const { run } = stage
  const reached = names.filter((name) => run?.signal(name, signal) === true)
  stage.story.tell(`      ${signal} reached ${reached.length === 0 ? 'nobody' : reached.join(', ')}`)
  if (signal !== 'SIGSTOP') return nothingToEnd
  return () => reached.forEach((name) => run?.signal(name, 'SIGCONT'))
}

const victimsOrAll = (random: Random): readonly Victim[] =>
  random.chance(0.1) ? EVERYBODY : drawVictims(random)

export const PROCESS_FAULTS: readonly FaultKind[] = [
  {
    name: 'kill',
    says: 'JobManagers and TaskManagers are killed (SIGKILL) and started again',
    draw: (random) => signalled(victimsOrAll(random), 'SIGKILL'),
  },
  {
    name: 'pause',
    says: 'JobManagers and TaskManagers stand still (SIGSTOP, SIGCONT), some beyond every limit',
    draw: (random) =>
      signalled(drawVictims(random), 'SIGSTOP', lasting(random, { from: 100, to: 4000 }, BEYOND_LIMITS)),
  },
  {
    name: 'term',
    says: 'JobManagers and TaskManagers are told to go (SIGTERM) and started again',
    draw: (random) => signalled(victimsOrAll(random), 'SIGTERM'),
  },
]
