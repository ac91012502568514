interface Typed {
  readonly type: string
}

/** One function for each member of a union, under its `type`. */
export type ByType<U extends Typed, R, A extends readonly unknown[] = []> = {
  readonly [T in U['type']]: (of: Extract<U, { readonly type: T }>, ...more: A) => R
}

/** Calls the function for `of`; undefined where there is none. */
export function byType<U extends Typed, R, A extends readonly unknown[]>(
  table: Partial<ByType<U, R, A>>,
  of: U,
  ...more: A
): R | undefined {
  // TypeScript does not see that the entry under `of.type` takes `of`; ByType says that it does.
  const entry = table[of.type as U['type']] as ((of: U, ...more: A) => R) | undefined
  return entry?.(of, ...more)
}
