const SUFFIX: Readonly<Record<string, number>> = {
  '': 1,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
}

/** "1Gi" -> 1073741824; undefined for text that is no quantity. */
export function quantityToNumber(quantity: string | number): number | undefined {
  if (typeof quantity === 'number') return quantity
  const match = /^([+-]?[0-9.]+)([A-Za-z]*)$/.exec(quantity)
  const factor = match === null ? undefined : SUFFIX[match[2]!]
  const value = factor === undefined ? Number(quantity) : Number(match![1]) * factor
  return Number.isFinite(value) ? value : undefined
}

/**
 * V8's old-space limit per thread so that heaps end below the memory limit with room for code,
 * buffers and sockets: three quarters of it, shared by `threads`. Without it V8 takes a default
 * that may lie above the limit, and the kernel kills the container instead of V8 collecting.
 */
export function heapLimitMb(memoryLimit: string | number | undefined, threads: number): number | undefined {
  const bytes = memoryLimit === undefined ? undefined : quantityToNumber(memoryLimit)
  if (bytes === undefined || bytes <= 0) return undefined
  return Math.max(32, Math.floor((bytes * 0.75) / threads / 2 ** 20))
}
