/**
 * Data as it comes back from UTF-8: every lone surrogate in its strings and names is U+FFFD. Looks
 * into arrays, objects, maps and sets, `levels` deep at most.
 */

export function isWellFormed(value: unknown, levels = Infinity): boolean {
  if (typeof value === 'string') return value.isWellFormed()
  if (!isStructure(value) || levels === 0) return true
  return partsOf(value).every((part) => isWellFormed(part, levels - 1))
}

/** What lies in it: items, names, members. */
function partsOf(value: object): readonly unknown[] {
  if (Array.isArray(value)) return value
  if (value instanceof Set) return [...value]
  return (value instanceof Map ? [...value] : Object.entries(value)).flat()
}

/** A copy, but for what cannot hold strings. Class instances become plain objects. */
export function toWellFormed(value: unknown, levels = Infinity): unknown {
  if (typeof value === 'string') return value.toWellFormed()
  if (!isStructure(value) || levels === 0) return value
  const copy = (member: unknown) => toWellFormed(member, levels - 1)
  if (Array.isArray(value)) return value.map(copy)
  if (value instanceof Set) return new Set([...value].map(copy))
  if (value instanceof Map) return new Map([...value].map(([k, v]) => [copy(k), copy(v)]))
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name.toWellFormed(), copy(member)]),
  )
}

function isStructure(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  return !(ArrayBuffer.isView(value) || OPAQUE.some((type) => value instanceof type))
}

const OPAQUE = [Date, RegExp, Error, ArrayBuffer] as const
