import { WeirError } from '#runtime/base/errors'
import type { ConnectorAccess } from '#runtime/storage/connector-access'
import type { SimNode } from './node.ts'
import type { Random } from './random.ts'
import type { Service, World } from './world.ts'

const PACE: Readonly<Record<Service, { readonly ms: number; readonly slow: number; readonly lost: number }>> =
  {
    disk: { ms: 0.2, slow: 0.01, lost: 0 },
    bucket: { ms: 2, slow: 0.03, lost: 0.01 },
    external: { ms: 2, slow: 0.04, lost: 0.01 },
  }
const ANSWER_LIMIT_MS = 700

/**
 * Calls of one thread of a simulated process to something outside: they take time, their answers
 * get lost, and a process or thread that has died meanwhile never hears of them, although they may
 * have been carried out.
 */
export class Caller {
  readonly world: World
  readonly node: SimNode
  readonly #life: number
  readonly #isLive: () => boolean
  readonly random: Random

  constructor(node: SimNode, isLive: () => boolean) {
    this.world = node.world
    this.node = node
    this.#life = node.life
    this.#isLive = isLive
    this.random = node.world.random.fork()
  }

  call<T>(service: Service, effect: () => T): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    const { ms, slow, lost } = PACE[service]
    const { faulty, clock } = this.world
    const { random } = this
    const isTroubled = this.world.isTroubled(service)
    const isLost = isTroubled || (faulty && random.chance(lost))
    const there = faulty && random.chance(slow) ? random.between(20, 600) : ms * (0.2 + random.next())
    const isCarriedOut = !isTroubled && (!isLost || random.chance(0.7))
    let settle = (): void => reject(unanswered(service))
    clock.after(there, () => {
      if (!isCarriedOut) return
      const outcome = outcomeOf(effect, resolve, reject)
      if (!isLost) settle = outcome
    })
    const back = isLost ? ANSWER_LIMIT_MS : ms * (0.2 + random.next())
    clock.after(there + back, () =>
      this.node.deliver(this.#life, () => {
        if (this.#isLive()) settle()
      }),
    )
    return promise
  }
}

/** What connectors reach in a simulation; a sink of the simulation itself calls by it. */
export interface SimAccess extends ConnectorAccess, Disposable {
  readonly caller: Caller
}

function outcomeOf<T>(
  effect: () => T,
  resolve: (value: T) => void,
  reject: (error: unknown) => void,
): () => void {
  try {
    const result = effect()
    return () => resolve(result)
  } catch (error) {
    return () => reject(error)
  }
}

const unanswered = (service: Service): WeirError =>
  new WeirError('STO_UNAVAILABLE', `${service}: no answer within ${ANSWER_LIMIT_MS} ms.`)
