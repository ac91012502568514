import { WeirError } from './errors.ts'
import { preview } from './preview.ts'

/**
 * A job is not type-checked when it runs, so a misspelt option would be ignored in silence:
 * `generator({ rte: 100 })` would run at full speed.
 * @throws {WeirError} CFG_GRAPH naming the option and the ones there are.
 */
export function refuseUnknownOptions(what: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null)
    throw new WeirError(
      'CFG_GRAPH',
      `${what}: its options are ${preview(options)}. Expected an object with any of: ${known.join(', ')}.`,
    )
  const unknown = Object.keys(options).filter((name) => !known.includes(name))
  if (unknown.length === 0) return
  const names = unknown.map((name) => JSON.stringify(name)).join(', ')
  throw new WeirError('CFG_GRAPH', `${what} has no option ${names}. Expected: ${known.join(', ')}.`)
}

/**
 * Also checks `formerly`. @throws {WeirError} CFG_GRAPH when it is not a list of names, or an
 * option is unknown
 */
export function refuseWrongOptions(
  what: string,
  options: { readonly formerly?: unknown },
  known: readonly string[] = ['formerly'],
): void {
  refuseUnknownOptions(what, options, known)
  const { formerly = [] } = options
  if (Array.isArray(formerly) && formerly.every((name) => typeof name === 'string')) return
  throw new WeirError(
    'CFG_GRAPH',
    `${what}: formerly is ${preview(formerly)}. Expected a list of the names it had, such as ["old-name"].`,
  )
}
