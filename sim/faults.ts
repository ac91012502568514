import type { SimNode } from './node.ts'
import { layPlot } from './plots.ts'
import type { Random } from './random.ts'
import type { RequestFate, StoreTrouble } from './store.ts'
import type { Simulation } from './simulation.ts'

/** Places of traps, and how often something passes them in a run. */
const PLACES: readonly (readonly [place: string, most: number])[] = [
  ['append EPOCH_OPEN', 2],
  ['append DEPLOY', 3],
  ['append CHECKPOINT', 8],
  ['append SAVEPOINT', 2],
  ['append CLOSE', 1],
  ['send deploy', 4],
  ['send deployed', 4],
  ['send start', 4],
  ['send adopt', 2],
  ['send execution', 6],
  ['send trigger', 12],
  ['send ack', 20],
  ['send complete', 12],
  ['send committed', 20],
  ['send finished', 4],
  ['send cancel', 4],
  ['phase Deploying', 3],
  ['phase Running', 3],
  ['phase Restarting', 3],
  ['phase Stopping', 2],
  ['phase Closing', 2],
  ['candidate Opening', 3],
  ['candidate Leading', 3],
  ['slot deploy', 4],
  ['slot start', 4],
  ['slot complete', 12],
  ['slot snapshot', 20],
]

const FATES: readonly RequestFate[] = ['lost', 'answerLost', 'late', 'senderDies', 'failed', 'failedDone']

/**
 * Faults of one run until `untilMs`: a few traps at places where they do the most harm, and a
 * background of everything else at random; then everything is healed.
 */
export function injectFaults(sim: Simulation, untilMs: number): void {
  const random = sim.world.random.fork()
  const actions = new Actions(sim, random)
  if (random.chance(0.6)) layPlot(sim, random)
  for (let i = random.between(0, 3); i > 0; i--) layTrap(sim, random, actions)
  // Some runs are calm, some stormy.
  const everyMs = random.pick([80, 160, 300, 700, 2000, 1e9])
  const next = (): void => {
    const delay = random.next() * 2 * everyMs
    if (sim.world.clock.monotonic() + delay >= untilMs) return
    sim.world.clock.after(delay, () => {
      actions.background()
      next()
    })
  }
  next()
  sim.world.clock.after(untilMs, () => sim.heal())
}

function layTrap({ traps }: Simulation, random: Random, actions: Actions): void {
  const [place, most] = random.pick(PLACES)
  const nth = random.between(1, most)
  if (place.startsWith('append ') && random.chance(0.6)) {
    const fate = random.pick(FATES)
    traps.lay({ place, nth, fate })
  } else {
    const spring = actions.draw()
    traps.lay({ place, nth, spring })
  }
}

const orElse = (nodes: readonly SimNode[], other: SimNode): readonly SimNode[] =>
  nodes.length > 0 ? nodes : [other]

/** What can go wrong, drawn by chance. */
class Actions {
  readonly #sim: Simulation
  readonly #random: Random

  constructor(sim: Simulation, random: Random) {
    this.#sim = sim
    this.#random = random
  }

  background(): void {
    const { nodes } = this.#sim
    const action = this.draw()
    if (nodes.length > 0) action(this.#random.pick(nodes))
  }

  /** An action; it is given the process where a trap sprang. */
  draw(): (at: SimNode) => void {
    const { world, network, redis, weather } = this.#sim
    const random = this.#random
    const long = random.chance(0.15)
    const ms = long ? random.between(1500, 6000) : random.between(20, 900)
    const trouble = random.pick<StoreTrouble>(['blocked', 'full', 'denied'])
    const other = (at: SimNode): SimNode => random.pick(this.#sim.nodes.filter((n) => n !== at).concat(at))
    const jobManager = (at: SimNode): SimNode => random.pick(orElse(this.#sim.jobManagers, at))
    const taskManager = (at: SimNode): SimNode => random.pick(orElse(this.#sim.taskManagers, at))
    return random.pick<(at: SimNode) => void>([
      (at) => this.#kill(at),
      (at) => this.#kill(at),
      (at) => this.#kill(jobManager(at)),
      (at) => this.#kill(taskManager(at)),
      (at) => this.#kill(taskManager(at)),
      (at) => at.pause(ms),
      (at) => jobManager(at).pause(ms),
      (at) => taskManager(at).pause(ms),
      (at) => this.#terminate(taskManager(at)),
      (at) => this.#terminate(jobManager(at)),
      (at) => {
        const peer = other(at)
        world.tell('network', `nothing passes between ${at.name} and ${peer.name} for ${ms} ms`)
        network.block(at, peer, ms)
      },
      () => network.cutOne(),
      (at) => other(at).freeze(ms),
      (at) => this.#sim.hangSlot(taskManager(at)),
      (at) => weather.set(at, trouble, ms),
      (at) => weather.set(jobManager(at), trouble, ms),
      () => weather.set(undefined, trouble, ms),
      () => redis.flush(),
      () => redis.failOver(),
      () => redis.replicate(),
      () => {
        world.tell('redis', `does not answer for ${ms} ms`)
        redis.blockedUntil = world.clock.monotonic() + ms
      },
      () => this.#sim.loseLease(),
      () => world.trouble(random.pick(['bucket', 'external', 'disk']), ms),
      () => {
        world.tell('disk', `is full for ${ms} ms`)
        this.#sim.output.files.fullUntil = world.clock.monotonic() + ms
      },
    ])
  }

  #kill(node: SimNode): void {
    node.kill()
  }

  #terminate(node: SimNode): void {
    this.#sim.world.clock.after(0, () => void this.#sim.terminate(node))
  }
}
