/**
 * Whether something that the API server has is what a builder made: every field that the builder
 * set is as it was built. What the server or somebody else added is no difference, except in lists,
 * which have to have as many items.
 */
export function isAsBuilt(found: unknown, built: unknown): boolean {
  if (built === undefined) return true
  if (Array.isArray(built)) return Array.isArray(found) && areAsBuilt(found, built)
  if (!isObject(built)) return found === built
  return isObject(found) && Object.entries(built).every(([key, value]) => isAsBuilt(found[key], value))
}

const areAsBuilt = (found: readonly unknown[], built: readonly unknown[]): boolean =>
  found.length === built.length && built.every((value, index) => isAsBuilt(found[index], value))

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
