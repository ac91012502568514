import { badInput } from './cli-error.ts'

/**
 * `--arg key=value` pairs as the job's arguments. A value that reads as JSON is that JSON (`n=3`,
 * `on=true`, `tags=["a"]`, `year="2026"`); anything else is the text itself. `a.b=1` sets a member
 * of an object. Later pairs win over `base`. Pure.
 */
export function parseJobArguments(
  pairs: readonly string[],
  base: Readonly<Record<string, unknown>> = {},
): Readonly<Record<string, unknown>> {
  const args = structuredClone(base) as Record<string, unknown>
  for (const pair of pairs) {
    const at = pair.indexOf('=')
    const path = at < 0 ? '' : pair.slice(0, at)
    if (path === '' || path.split('.').some((part) => part === '' || part === '__proto__'))
      throw badInput(
        `Not an argument: ${JSON.stringify(pair)}. ` +
          'Expected key=value, such as --arg input=data/ or --arg limit=10.',
      )
    setMember(args, path.split('.'), jsonOrText(pair.slice(at + 1)))
  }
  return args
}

function setMember(target: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let object = target
  for (const part of path.slice(0, -1)) {
    const member = Object.hasOwn(object, part) ? object[part] : undefined
    const next =
      typeof member === 'object' && member !== null && !Array.isArray(member)
        ? (member as Record<string, unknown>)
        : {}
    object[part] = next
    object = next
  }
  object[path.at(-1) as string] = value
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
