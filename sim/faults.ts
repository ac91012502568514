import type { SimJobManager } from './sim-job-manager.ts'
import type { Surroundings } from './surroundings.ts'
import type { SimNode } from './world.ts'

/**
 * Crashes, pauses, partitions, a forgetful Redis, and people who want savepoints: at random until
 * `untilMs`; then everything is healed.
 */
export function injectFaults(around: Surroundings, untilMs: number): void {
  const { world, network, redis, nodes } = around
  const random = world.random.fork()
  const { clock } = world
  // Some runs are calm, some stormy.
  const everyMs = random.pick([60, 120, 200, 400, 900])
  let savepoints = 0

  const crash = (node: SimNode) => {
    if (!node.alive) return
    node.crash()
    network.cutAll(node)
    clock.after(random.between(10, 600), () => node.start())
  }
  const faults = [
    () => crash(random.pick(around.jobManagers)),
    () => crash(random.pick(around.jobManagers)),
    () => crash(random.pick(around.taskManagers)),
    () => {
      const node = random.pick(around.jobManagers)
      network.dieAfter(node, random.between(0, 5), () => crash(node))
    },
    () => random.pick(nodes).pause(random.between(50, 1200)),
    () => random.pick(around.jobManagers).pause(random.between(50, 1200)),
    () => {
      const node = random.pick(nodes)
      const peer = random.pick(network.peersOf(node))
      world.trace(`partition ${node.name} - ${peer.name}`)
      network.cut(node, peer, random.between(0, 800))
    },
    () => {
      const node = random.pick(around.jobManagers)
      world.trace(`${node.name} cannot reach the store`)
      around.reachOf(node).storeBlockedUntil = clock.monotonic() + random.between(50, 900)
    },
    () => {
      world.trace('nobody can reach the store')
      const until = clock.monotonic() + random.between(50, 500)
      for (const node of nodes) around.reachOf(node).storeBlockedUntil = until
    },
    () => redis.flush(),
    () => redis.failOver(),
    () => {
      redis.blockedUntil = clock.monotonic() + random.between(100, 900)
    },
  ]

  const next = () => {
    const delay = random.next() * 2 * everyMs
    if (clock.monotonic() + delay >= untilMs) return
    clock.after(delay, () => {
      random.pick(faults)()
      next()
    })
  }
  const routine = () => {
    if (clock.monotonic() >= untilMs) return
    if (random.chance(0.5)) redis.replicate()
    if (random.chance(0.4))
      for (const node of around.jobManagers)
        (node.process as SimJobManager | undefined)?.savepoint(`savepoint-${savepoints}`)
    savepoints++
    clock.after(random.between(50, 250), routine)
  }
  next()
  routine()
  clock.after(untilMs, () => {
    world.trace('faults end')
    world.faulty = false
    network.heal()
    redis.blockedUntil = 0
    for (const node of nodes) around.reachOf(node).storeBlockedUntil = 0
  })
}
