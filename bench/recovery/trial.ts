import type { RecoveryView } from '#runtime/contract/rest'
import type { Kill } from './kills.ts'
import type { Seen } from './facts-stream.ts'
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

/** Longer than a stand-by needs to take over. */
const AFTERWARDS_CHECKPOINTS = 5

/**
 * One kill of one job. @throws when the job does not come back, or its output lost or repeated a
 * record
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
  const wallAtKill = Date.now()
  const killedAt = performance.now()
  await deed()
  const back = kill.isHarmless
    ? undefined
    : await stream.first(
        `the first record after: ${kill.title}`,
        ({ at, facts }) => at > killedAt && recoveryAfter(facts, wallAtKill) !== undefined,
      )
  const done = performance.now()
  const lastId = before.checkpoint.last?.id ?? 0
  const isLater = (seen: Seen) =>
    seen.at > (back?.at ?? killedAt) && (seen.facts.checkpoint.last?.id ?? 0) > lastId
  const next = await stream.first('a checkpoint after it', isLater)
  const nextId = next.facts.checkpoint.last?.id ?? 0
  const last = await stream.first(
    'more checkpoints after it',
    ({ at, facts }) =>
      at > done &&
      facts.state === 'Running' &&
      (facts.checkpoint.last?.id ?? 0) >= nextId + AFTERWARDS_CHECKPOINTS,
  )
  if (kill.isHarmless && last.facts.restarts > before.restarts)
    throw new Error(
      `${kill.title}: the job was expected to run on, but restarted: ${last.facts.recoveries[0]?.cause ?? last.facts.message}`,
    )
  const trial = {
    firstRecordMs:
      back === undefined || back.facts.attempt === before.attempt ? undefined : back.at - killedAt,
    recovery: recoveryAfter(last.facts, wallAtKill),
    nextCheckpointMs: next.at - killedAt,
    longestGapMs: longestGap(stream.seen, killedAt),
    leaderChanged: last.facts.epoch > before.epoch,
  }
  return { ...trial, records: await stage.finish() }
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
