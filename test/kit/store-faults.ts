import { WeirError, type ErrorCode } from '#runtime/base/errors'
import type { MemoryHooks, MemoryOperation } from '#runtime/storage/memory-store'

type Match = (operation: MemoryOperation, key: string) => boolean
type Rule = (operation: MemoryOperation, key: string) => Promise<void> | void

export const creating =
  (prefix: string): Match =>
  (operation, key) =>
    operation === 'create' && key.startsWith(prefix)
export const reading =
  (prefix: string): Match =>
  (operation, key) =>
    operation === 'get' && key.startsWith(prefix)
export const anything: Match = () => true

/** Faults of one process's store, switched on and off by a test. Each method gives its end. */
export class StoreFaults implements MemoryHooks {
  readonly #before = new Set<Rule>()
  readonly #after = new Set<Rule>()

  /** Matching requests wait. */
  hold(match: Match): () => void {
    const { promise, resolve } = Promise.withResolvers<void>()
    const end = add(this.#before, (...call) => (match(...call) ? promise : undefined))
    return () => {
      end()
      resolve()
    }
  }

  /** Matching requests never arrive. */
  refuse(match: Match, code: ErrorCode = 'STO_UNAVAILABLE'): () => void {
    return add(this.#before, (...call) => {
      if (match(...call)) throw new WeirError(code, `${call.join(' ')} was refused`)
    })
  }

  /** Matching requests take effect, and their answers get lost. */
  loseAnswers(match: Match): () => void {
    return add(this.#after, (...call) => {
      if (match(...call)) throw new WeirError('STO_UNAVAILABLE', `${call.join(' ')} was not answered`)
    })
  }

  /** Called before each matching request. */
  watch(match: Match, seen: (operation: MemoryOperation, key: string) => void): () => void {
    return add(this.#before, (...call) => {
      if (match(...call)) seen(...call)
    })
  }

  async before(operation: MemoryOperation, key: string): Promise<void> {
    for (const rule of this.#before) await rule(operation, key)
  }

  async after(operation: MemoryOperation, key: string): Promise<void> {
    for (const rule of this.#after) await rule(operation, key)
  }
}

function add(rules: Set<Rule>, rule: Rule): () => void {
  rules.add(rule)
  return () => void rules.delete(rule)
}
