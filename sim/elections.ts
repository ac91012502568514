import type { Election, ElectionState } from '#runtime/election/lease'
import type { SimNode } from './node.ts'

/** Elections of simulated JobManagers: at most one of a process may stand at a time. */
export class Elections {
  readonly #standing = new Map<SimNode, Set<Election>>()
  #count = 0

  watch(node: SimNode, open: (token: string) => Election): Election {
    const { world, life } = node
    const inner = open(`${node.name}.${life}:${(++this.#count).toString(16).padStart(32, '0')}`)
    const standing = this.#standing.get(node) ?? new Set()
    this.#standing.set(node, standing)
    const election: Election = {
      get state(): ElectionState {
        return inner.state
      },
      campaign: (floor, onChange) => inner.campaign(floor, onChange),
      close: () => {
        standing.delete(election)
        return inner.close()
      },
    }
    standing.add(election)
    if (standing.size > 1) world.violate('leak', `${node.name} stands in ${standing.size} elections at once`)
    return election
  }

  /** The process is gone, and its elections with it. */
  died(node: SimNode): void {
    this.#standing.delete(node)
  }

  standing(node: SimNode): number {
    return this.#standing.get(node)?.size ?? 0
  }
}
