import type { SimNode } from './node.ts'
import type { Random } from './random.ts'
import type { Simulation } from './simulation.ts'
import type { RequestFate } from './store.ts'
import type { Trap } from './traps.ts'

/**
 * Faults that belong together and lead to states that chance alone hardly ever reaches: what,
 * where, and how long, with the rest left to chance.
 */
export function layPlot(sim: Simulation, random: Random): void {
  for (const trap of random.pick(PLOTS)(sim, random)) sim.traps.lay(trap)
}

type Plot = (sim: Simulation, random: Random) => readonly Trap[]

const RECORDS: readonly (readonly [place: string, most: number])[] = [
  ['append EPOCH_OPEN', 2],
  ['append DEPLOY', 3],
  ['append CHECKPOINT', 6],
  ['append SAVEPOINT', 1],
  ['append ENDING', 1],
  ['append CLOSE', 1],
]

const PLOTS: readonly Plot[] = [
  // A leader is suspended with a record under way, and goes on as if it led.
  (_, random) => record(random, { fate: 'held', spring: (at) => at.freeze(random.between(400, 3500)) }),
  // It sleeps so long that what it goes on with has been compacted away.
  (_, random) => [
    {
      place: 'append CHECKPOINT',
      nth: random.between(1, 3),
      fate: 'held',
      spring: (at) => at.freeze(random.between(1500, 3500)),
    },
  ],
  // A record is under way while the election is lost: somebody else takes the place.
  (sim, random) =>
    record(random, {
      fate: random.pick<RequestFate>(['failed', 'failedDone', 'lost', 'answerLost']),
      spring: (at) => {
        sim.loseLease()
        sim.weather.set(at, 'blocked', random.between(20, 400))
      },
    }),
  // The outcome of a record stays open for a while.
  (sim, random) =>
    record(random, {
      fate: random.pick<RequestFate>(['failed', 'failedDone']),
      spring: (at) => sim.weather.set(at, 'blocked', random.between(50, 2000)),
    }),
  // Credentials run out with a record under way; it may be in the log already.
  (sim, random) =>
    record(random, {
      fate: random.pick<RequestFate>(['normal', 'failedDone', 'answerLost']),
      spring: (at) => sim.weather.set(at, 'denied', random.between(50, 1500)),
    }),
  // They have run out when it is to be written.
  (sim, random) => [
    {
      place: random.pick(['phase Deploying', 'phase Closing']),
      nth: 1,
      spring: (at) => sim.weather.set(at, 'denied', random.between(50, 1500)),
    },
  ],
  // Somebody opens an epoch a moment before.
  (sim, random) => [
    { place: 'append EPOCH_OPEN', nth: 1, fate: 'late', spring: () => sim.redis.flush() },
    { place: 'candidate Opening', nth: 2, spring: (at) => at.freeze(random.between(100, 900)) },
  ],
  // A checkpoint or a deployment is decided while the attempt fails.
  (sim, random) => [
    {
      place: random.pick(['append CHECKPOINT', 'append DEPLOY']),
      nth: random.between(1, 6),
      fate: 'late',
      spring: () => killOne(sim.taskManagers, random),
    },
  ],
  // The end is in the log, and then somebody who should carry it out is gone.
  (sim, random) => [
    {
      place: 'append ENDING',
      nth: 1,
      fate: random.pick<RequestFate>(['normal', 'late', 'senderDies']),
      spring: () =>
        sim.world.clock.after(random.between(0, 40), () => {
          if (random.chance(0.7)) killOneOrTwo(sim, random)
          else for (const taskManager of sim.taskManagers) sim.hangSlot(taskManager)
        }),
    },
  ],
  // A new leader finds a part of the tasks.
  (sim, random) => [
    {
      place: 'phase Running',
      nth: random.between(1, 2),
      spring: (at) =>
        sim.world.clock.after(random.between(50, 600), () => {
          at.kill()
          killOne(sim.taskManagers, random)
        }),
    },
  ],
  // Tasks cannot write, or take too long to.
  (sim, random) => [
    {
      place: 'slot snapshot',
      nth: random.between(1, 20),
      spring: (at) =>
        sim.weather.set(at, random.pick(['denied', 'blocked', 'full']), random.between(100, 2500)),
    },
  ],
  // A restore hangs.
  (sim, random) => [
    {
      place: 'send deploy',
      nth: random.between(1, 4),
      spring: () => {
        if (sim.taskManagers.length === 0) return
        const at = random.pick(sim.taskManagers)
        if (random.chance(0.5)) sim.weather.set(at, 'blocked', random.between(1500, 3500))
        else sim.world.clock.after(random.between(0, 20), () => sim.hangSlot(at))
      },
    },
  ],
  // The last commits hang.
  (sim, random) => [
    {
      place: 'phase Stopping',
      nth: 1,
      spring: () => {
        for (const service of ['bucket', 'external', 'disk'] as const)
          sim.world.trouble(service, random.between(800, 4000))
      },
    },
  ],
  // A function of the user never returns.
  (sim, random) => [{ place: 'slot start', nth: random.between(1, 6), spring: (at) => sim.hangSlot(at) }],
  // TaskManagers lose all JobManagers for longer than they wait for one.
  (sim, random) => [
    {
      place: 'phase Running',
      nth: 1,
      spring: () => {
        for (const taskManager of sim.taskManagers)
          for (const jobManager of sim.jobManagers)
            sim.network.block(taskManager, jobManager, random.between(1500, 3500))
      },
    },
  ],
  // A TaskManager is told to go while there is room elsewhere.
  (sim, random) => [
    {
      place: 'send ack',
      nth: random.between(1, 20),
      spring: (at) => void sim.world.clock.after(0, () => void sim.terminate(at)),
    },
  ],
]

function record(random: Random, trap: Pick<Trap, 'fate' | 'spring'>): Trap[] {
  const [place, most] = random.pick(RECORDS)
  return [{ place, nth: random.between(1, most), ...trap }]
}

function killOneOrTwo(sim: Simulation, random: Random): void {
  killOne(sim.taskManagers, random)
  if (random.chance(0.5)) killOne(sim.jobManagers, random)
}

/** None may be left: a run that has ended is taken away. */
function killOne(among: readonly SimNode[], random: Random): void {
  if (among.length > 0) random.pick(among).kill()
}
