import type { Random } from '#sim/random'
import { JOB_MANAGERS, type Stage, TASK_MANAGERS } from '../stage.ts'

/** A process by name, or a JobManager by what it is when the fault begins. */
export type Victim = (typeof JOB_MANAGERS)[number] | (typeof TASK_MANAGERS)[number] | 'leader' | 'standby'

/** Names of processes that are there, each once. */
export function namesOf(victims: readonly Victim[], stage: Stage): string[] {
  const { run } = stage
  if (run === undefined) return []
  const names = victims.map((victim) => nameOf(victim, stage))
  return [...new Set(names)].filter((name) => run.processNames.includes(name))
}

function nameOf(victim: Victim, { run }: Stage): string {
  if (victim !== 'leader' && victim !== 'standby') return victim
  const leader = run?.watcher.leader()?.name ?? JOB_MANAGERS[0]
  if (victim === 'leader') return leader
  return JOB_MANAGERS.find((name) => name !== leader) ?? leader
}

const GROUPS: readonly (readonly Victim[])[] = [
  ['leader'],
  ['leader'],
  ['standby'],
  [...JOB_MANAGERS],
  ['tm-1'],
  ['tm-2'],
  ['tm-1', 'tm-2'],
  ['leader', 'tm-1'],
  ['leader', 'tm-2'],
  [...TASK_MANAGERS],
]

/** One process, some, or all of a sort. */
export const drawVictims = (random: Random): readonly Victim[] => random.pick(GROUPS)
