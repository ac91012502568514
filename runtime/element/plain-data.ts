/**
 * What records and state may be: what the batch codec gives back as it was. Not functions, symbols,
 * and instances of classes with methods or accessors: they would come back without them.
 */

import { preview } from '#runtime/base/preview'

/** Prototypes of what the codec knows, and whether those met so far have behaviour of their own. */
const known = new WeakMap<object, boolean>([
  [Object.prototype, false],
  [Array.prototype, false],
  [Date.prototype, false],
  [Map.prototype, false],
  [Set.prototype, false],
  [RegExp.prototype, false],
  [ArrayBuffer.prototype, false],
  [DataView.prototype, false],
])

/** An instance of a class whose methods or accessors would be lost. */
export function hasBehaviour(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (typeof prototype !== 'object' || prototype === null) return false
  const found = known.get(prototype)
  if (found !== undefined) return found
  const behaves = !(value instanceof Error) && !ArrayBuffer.isView(value) && definesAnything(prototype)
  known.set(prototype, behaves)
  return behaves
}

/** The class or one that it extends has more than a constructor. */
function definesAnything(prototype: object): boolean {
  for (let at: object | null = prototype; at !== null && at !== Object.prototype; at = parentOf(at))
    if (Reflect.ownKeys(at).some((key) => key !== 'constructor')) return true
  return false
}

const parentOf = (prototype: object): object | null => Object.getPrototypeOf(prototype) as object | null

/**
 * The first thing in `value` that is not data, in words with its place: `a function at .of, in
 * {"of":function of}`. Undefined: all of it is data.
 */
export function findNoData(value: unknown): string | undefined {
  const found = find(value, '', new Set())
  return found === undefined || !found.includes(' at ') ? found : `${found}, in ${preview(value)}`
}

function find(value: unknown, path: string, above: Set<object>): string | undefined {
  const place = path === '' ? '' : ` at ${path}`
  if (typeof value === 'function') return `a function${place}`
  if (typeof value === 'symbol') return `a symbol${place}`
  if (typeof value !== 'object' || value === null) return undefined
  if (above.has(value)) return `itself${place}, a circle`
  if (hasBehaviour(value)) return `${nameOf(value)}${place}`
  above.add(value)
  for (const [step, member] of membersOf(value)) {
    const found = find(member, path + step, above)
    if (found !== undefined) return found
  }
  above.delete(value)
  return undefined
}

function* membersOf(value: object): Generator<readonly [string, unknown]> {
  if (ArrayBuffer.isView(value)) return
  if (Array.isArray(value)) for (const [i, item] of value.entries()) yield [`[${i}]`, item]
  else if (value instanceof Set) for (const item of value) yield ['{an item}', item]
  else if (value instanceof Map) yield* entriesOf(value)
  else for (const [name, member] of Object.entries(value)) yield [`.${name}`, member]
}

function* entriesOf(map: ReadonlyMap<unknown, unknown>): Generator<readonly [string, unknown]> {
  for (const [key, member] of map) {
    yield ['{a key}', key]
    yield [`{${String(key)}}`, member]
  }
}

function nameOf(value: object): string {
  const name: unknown = value.constructor?.name
  const named = typeof name === 'string' && name !== '' ? name : 'class without a name'
  return `an instance of ${named}, a class with methods`
}

/** What to do about it. */
export const DATA_ADVICE =
  'It must be plain data: strings, numbers, booleans, bigints, null, Date, Map, Set, binary data, ' +
  'and arrays and objects of these. Keep the data of an instance, and make the instance in the function.'
