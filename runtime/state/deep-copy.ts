/**
 * A copy of a stored value that later mutation of the original cannot reach: what the batch codec
 * would give back, only faster. Class instances become plain objects of their own enumerable
 * properties, as they do in a snapshot. Functions, RegExp and Error are taken as immutable.
 */
export function deepCopy<T>(value: T): T {
  return typeof value === 'object' && value !== null ? (copyObject(value) as T) : value
}

function copyObject(value: object): object {
  if (Array.isArray(value)) return value.map(deepCopy)
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Object.prototype || prototype === null) return copyProperties(value)
  return copyInstance(value)
}

function copyInstance(value: object): object {
  if (value instanceof Date) return new Date(value.getTime())
  if (value instanceof Map) return copyMap(value)
  if (value instanceof Set) return copySet(value)
  if (value instanceof ArrayBuffer) return value.slice(0)
  if (ArrayBuffer.isView(value)) return copyView(value)
  if (value instanceof RegExp || value instanceof Error) return value
  return copyProperties(value)
}

function copyMap(map: ReadonlyMap<unknown, unknown>): Map<unknown, unknown> {
  const copy = new Map<unknown, unknown>()
  for (const [k, v] of map) copy.set(deepCopy(k), deepCopy(v))
  return copy
}

function copySet(set: ReadonlySet<unknown>): Set<unknown> {
  const copy = new Set<unknown>()
  for (const v of set) copy.add(deepCopy(v))
  return copy
}

function copyProperties(value: object): object {
  const copy: Record<string, unknown> = { ...value }
  for (const name in copy) {
    const member = copy[name]
    if (typeof member === 'object' && member !== null) copy[name] = copyObject(member)
  }
  return copy
}

function copyView(value: ArrayBufferView): ArrayBufferView {
  if (Buffer.isBuffer(value)) return Buffer.from(value)
  if (value instanceof DataView)
    return new DataView(value.buffer.slice(value.byteOffset, value.byteOffset + value.byteLength))
  return (value as Uint8Array).slice()
}
