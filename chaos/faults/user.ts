/**
 * What users do to a job, faults or not. A stop that does not come to its end is followed by what
 * the operator does then: the old processes are ended, and the next run goes on from the log.
 */
import { randomUUID } from 'node:crypto'
import type { Random } from '#sim/random'
import { type Fault, type FaultKind, nothingToEnd } from '../fault.ts'
import type { RunSettings } from '../job-run.ts'
import { BUCKET, MODULES, type Stage } from '../stage.ts'

/** How long a user waits for a stop or a savepoint. */
const PATIENCE_MS = 20_000
const GRACE_MS = 2000

type Way = 'checkpoint' | 'savepoint' | 'kill'
const WAYS: readonly Way[] = ['checkpoint', 'savepoint', 'kill']

const action = (text: string, work: (stage: Stage) => Promise<void>): Fault => ({
  text,
  forMs: 0,
  async begin(stage) {
    await stage.inTurn(() => work(stage))
    return nothingToEnd
  },
})

/** The next run of the same job, with what changes. */
async function nextRun(stage: Stage, way: Way, change: Partial<RunSettings>): Promise<void> {
  if (way !== 'kill') await stage.run?.stop({ mode: way }, PATIENCE_MS)
  const { settings } = await stage.replace(
    (old) => ({ ...old, ...change, run: old.run + 1 }),
    way === 'kill' ? 0 : GRACE_MS,
  )
  stage.story.tell(`      run ${settings.run} of ${settings.uid} was started`)
}

function rescale(random: Random): Fault {
  const way = random.pick(WAYS)
  const taskManagers = random.between(1, 3)
  const slots = random.between(1, 2)
  const parallelism = random.between(1, taskManagers * slots)
  const change = { taskManagers, slots, parallelism }
  return action(
    `rescale to parallelism ${parallelism} on ${taskManagers} x ${slots} slots, after: ${way}`,
    (stage) => nextRun(stage, way, change),
  )
}

function upgrade(random: Random): Fault {
  const way = random.pick(WAYS)
  return action(`another job module, after: ${way}`, (stage) => {
    const isFirst = stage.run?.settings.module === MODULES.first
    return nextRun(stage, way, { module: isFirst ? MODULES.upgraded : MODULES.first })
  })
}

/** A path of the user's own, never the same. */
const ownPlace = (): string => `s3://${BUCKET}/kept/${randomUUID()}`

function savepoint(random: Random): Fault {
  const isOwnPlace = random.chance(0.5)
  return action(`savepoint ${isOwnPlace ? 'at a path' : 'in its default place'}`, async (stage) => {
    const path = isOwnPlace ? ownPlace() : undefined
    const taken = await stage.run?.savepoint(path, PATIENCE_MS)
    if (taken?.path !== undefined) stage.story.tell(`      savepoint ${taken.path}`)
  })
}

/** `new job`: under another uid, which takes over from the one that has ended. */
function restore(random: Random): Fault {
  const as = random.pick(['same job', 'new job'] as const)
  const isOwnPlace = as === 'same job' && random.chance(0.5)
  return action(`stop with savepoint and restore as ${as}`, async (stage) => {
    const path = isOwnPlace ? { path: ownPlace() } : {}
    const stopped = await stage.run?.stop({ mode: 'savepoint', ...path }, PATIENCE_MS)
    const from = stopped?.path
    if (from === undefined) return nextRun(stage, 'kill', {})
    const block = { path: from, allowNonRestoredState: false }
    const { settings } = await stage.replace(
      (old) =>
        as === 'same job'
          ? { ...old, run: old.run + 1, restore: block }
          : { ...old, uid: uidAfter(old.uid), run: 1, restore: block },
      GRACE_MS,
    )
    stage.story.tell(`      run ${settings.run} of ${settings.uid} was started from ${from}`)
  })
}

const uidAfter = (uid: string): string => uid.replace(/\d+$/, (digits) => String(Number(digits) + 1))

function fork(random: Random): Fault {
  const output = random.pick(['local', 's3'] as const)
  const parallelism = random.between(1, 2)
  return action(`fork from a savepoint, parallelism ${parallelism}, output ${output}`, async (stage) => {
    const { run } = stage
    const taken = await run?.savepoint(undefined, PATIENCE_MS)
    if (run === undefined || taken?.path === undefined || stage.fork !== undefined) return
    stage.story.tell(`      fork from ${taken.path}`)
    await stage.startFork(taken.path, { ...run.settings, parallelism }, output)
  })
}

export const USER_ACTIONS: readonly FaultKind[] = [
  {
    name: 'rescale',
    says: 'the job is stopped (checkpoint, savepoint, or killed) and goes on at another parallelism',
    alone: 'user',
    draw: rescale,
  },
  {
    name: 'upgrade',
    says: 'the job is stopped (checkpoint, savepoint, or killed) and goes on with another module',
    alone: 'user',
    draw: upgrade,
  },
  { name: 'savepoint', says: 'a savepoint is taken', alone: 'user', draw: savepoint },
  {
    name: 'restore',
    says: 'the job is stopped with a savepoint and restored from it, as itself or as a new job',
    alone: 'user',
    draw: restore,
  },
  {
    name: 'fork',
    says: 'a second job starts from a savepoint of the first, and both go on',
    alone: 'user',
    draw: fork,
  },
]
