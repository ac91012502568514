const SUFFIX: Readonly<Record<string, number>> = {
  '': 1,
  n: 1e-9,
  u: 1e-6,
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
