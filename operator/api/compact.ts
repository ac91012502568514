/** An object whose members may be undefined instead of absent. */
export type Loose<T> = { readonly [K in keyof T]: T[K] | undefined }

/** Without members that are undefined, as the API server would drop them. */
export function compact<T extends object>(object: Loose<T>): T {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T
}
