/**
 * A member of something whose type nobody vouches for, such as parsed JSON; undefined when it has
 * none.
 */
export const member = (of: unknown, name: string): unknown =>
  typeof of === 'object' && of !== null ? Reflect.get(of, name) : undefined

/** The same for a member that is to be a text; undefined when it is not. */
export function textMember(of: unknown, name: string): string | undefined {
  const value = member(of, name)
  return typeof value === 'string' ? value : undefined
}

/** The members that are texts, such as `data` of a ConfigMap or a Secret. */
export const textMembers = (of: unknown): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(typeof of === 'object' && of !== null ? of : {}).filter(
      (entry): entry is [string, string] => typeof entry[1] === 'string',
    ),
  )
