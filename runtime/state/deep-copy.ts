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
  if (value instanceof Date) return new Date(value.getTime())
  if (value instanceof Map) {
    const copy = new Map<unknown, unknown>()
    for (const [k, v] of value) copy.set(deepCopy(k), deepCopy(v))
    return copy
  }
  if (value instanceof Set) {
    const copy = new Set<unknown>()
    for (const v of value) copy.add(deepCopy(v))
    return copy
  }
  if (value instanceof ArrayBuffer) return value.slice(0)
  if (ArrayBuffer.isView(value)) return copyView(value)
  if (value instanceof RegExp || value instanceof Error) return value
  return copyProperties(value)
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
