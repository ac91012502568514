import { WeirError } from './errors.ts'

/**
 * A job is not type-checked when it runs, so a misspelt option would be ignored in silence:
 * `generator({ rte: 100 })` would run at full speed.
 * @throws {WeirError} CFG_GRAPH naming the option and the ones there are.
 */
export function refuseUnknownOptions(what: string, options: object, known: readonly string[]): void {
  const unknown = Object.keys(options).filter((name) => !known.includes(name))
  if (unknown.length === 0) return
  const names = unknown.map((name) => JSON.stringify(name)).join(', ')
  throw new WeirError('CFG_GRAPH', `${what} has no option ${names}. Expected: ${known.join(', ')}.`)
}
