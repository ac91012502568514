import type { RecoveryView } from '#runtime/contract/rest'
import type { Kill } from './kills.ts'
import type { FactsStream, Seen } from './facts-stream.ts'
import { Stage, type Servers } from './stage.ts'

export interface Trial {
  /**
   * From the kill to the news of the first record after it, measured outside of the job; undefined:
   * the tasks went on, in the attempt that ran before.
   */
  readonly firstRecordMs: number | undefined
  /** What the JobManager measured. */
  readonly recovery: RecoveryView | undefined
  /**
   * From the kill to the first checkpoint that completed after it: when exactly-once output appears
   * again.
   */
  readonly nextCheckpointMs: number
  /** Longest time between two completed checkpoints from the kill on. */
  readonly longestGapMs: number
  /** Whether another JobManager leads in the end. */
  readonly leaderChanged: boolean
  /** Records committed over all, each checked. */
  readonly records: number
}

/** Longer than a standby needs to take over. */
const AFTERWARDS_CHECKPOINTS = 5

/**
 * One kill of one job.
 * @throws when the job does not come back, or its output lost or repeated a record
 */
export async function runTrial(
  servers: Servers,
  kill: Kill,
  directory: string,
  name: string,
): Promise<Trial> {
  await using stage = await Stage.open(servers, name, directory, kill.cast)
  const { stream } = stage
  const deed = await kill.aim(stage)
  const before = stream.seen.at(-1)?.facts
  if (before === undefined) throw new Error('The job has said nothing.')
  const killed: Killed = { before, wall: Date.now(), at: performance.now() }
  await deed()
  const back = kill.isHarmless ? undefined : await firstRecord(stream, kill, killed)
  const { next, last } = await nextCheckpoints(stream, killed, back)
  if (kill.isHarmless) requireNoRestart(kill, before, last.facts)
  const trial = {
    firstRecordMs:
      back === undefined || back.facts.attempt === before.attempt ? undefined : back.at - killed.at,
    recovery: recoveryAfter(last.facts, killed.wall),
    nextCheckpointMs: next.at - killed.at,
    longestGapMs: longestGap(stream.seen, killed.at),
    leaderChanged: last.facts.epoch > before.epoch,
  }
  return { ...trial, records: await stage.finish() }
}

/** The moment of the kill, and what was known before. */
interface Killed {
  readonly before: Seen['facts']
  /** `Date.now()`. */
  readonly wall: number
  /** `performance.now()`. */
  readonly at: number
}

const firstRecord = (stream: FactsStream, { title }: Kill, killed: Killed): Promise<Seen> =>
  stream.first(
    `the first record after: ${title}`,
    ({ at, facts }) =>
      at > killed.at && (recoveryAfter(facts, killed.wall) !== undefined || isAdopted(facts, killed.before)),
  )

/**
 * Another leader has taken the running tasks over: they continue, so no first record is reported.
 */
const isAdopted = (now: Seen['facts'], before: Seen['facts']): boolean =>
  now.state === 'Running' && now.epoch > before.epoch && now.attempt === before.attempt

/** The next checkpoint after the recovery, and the one that ends the trial. */
async function nextCheckpoints(
  stream: FactsStream,
  killed: Killed,
  back: Seen | undefined,
): Promise<{ readonly next: Seen; readonly last: Seen }> {
  const done = performance.now()
  const lastId = checkpointId(killed.before)
  const next = await stream.first(
    'a checkpoint after it',
    ({ at, facts }) => at > (back?.at ?? killed.at) && checkpointId(facts) > lastId,
  )
  const endId = checkpointId(next.facts) + AFTERWARDS_CHECKPOINTS
  const last = await stream.first(
    'more checkpoints after it',
    ({ at, facts }) => at > done && facts.state === 'Running' && checkpointId(facts) >= endId,
  )
  return { next, last }
}

const checkpointId = ({ checkpoint }: Seen['facts']): number => checkpoint.last?.id ?? 0

function requireNoRestart({ title }: Kill, before: Seen['facts'], last: Seen['facts']): void {
  if (last.restarts <= before.restarts) return
  const why = last.recoveries[0]?.cause ?? last.message
  throw new Error(`${title}: the job was expected to run on, but restarted: ${why}`)
}

const recoveryAfter = ({ recoveries }: Seen['facts'], wall: number): RecoveryView | undefined =>
  recoveries.find((it) => it.at >= wall && it.firstRecordMs !== undefined)

/** Between news of completed checkpoints; the one before `from` begins the first gap. */
export function longestGap(seen: readonly Seen[], from: number): number {
  let longest = 0
  let last: { readonly id: number; readonly at: number } | undefined
  for (const { at, facts } of seen) {
    const id = facts.checkpoint.last?.id
    if (id === undefined || id === last?.id) continue
    if (last !== undefined && at > from) longest = Math.max(longest, at - last.at)
    last = { id, at }
  }
  return longest
}

/** Durations of the checkpoints of a job that nothing happens to, and what they hold. */
export async function checkpointDurations(
  servers: Servers,
  directory: string,
  count: number,
): Promise<{ readonly durationsMs: number[]; readonly sizeBytes: number }> {
  await using stage = await Stage.open(servers, 'steady', directory, {
    jobManagers: 1,
    taskManagers: 2,
    withRedis: true,
  })
  const first = stage.stream.seen.at(-1)?.facts.checkpoint.last?.id ?? 0
  const end = await stage.stream.first(
    'checkpoints',
    ({ facts }) => (facts.checkpoint.last?.id ?? 0) >= first + count,
    120_000,
  )
  const durations = new Map(
    stage.stream.seen.flatMap(({ facts: { checkpoint } }) =>
      checkpoint.last === undefined ? [] : [[checkpoint.last.id, checkpoint.last.durationMs]],
    ),
  )
  await stage.finish()
  return {
    durationsMs: [...durations].filter(([id]) => id > first && id <= first + count).map(([, ms]) => ms),
    sizeBytes: end.facts.checkpoint.last?.sizeBytes ?? 0,
  }
}
