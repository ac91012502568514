const MAX_LENGTH = 200
const MAX_DEPTH = 4
const MAX_MEMBERS = 50

/** Members whose values stay out of messages: those go to logs, REST and the status of the job. */
const SECRET =
  /pass(word|phrase|wd)|secret|token|api[-_]?key|authori[sz]ation|credential|cookie|private[-_]?key/i

/**
 * A record or key for people, in at most 200 characters; members that are named like a secret are
 * shown as ***.
 */
export function preview(value: unknown): string {
  let text: string
  try {
    text = textOf(value, 0)
  } catch {
    // A getter or proxy of the user.
    text = 'a value that cannot be shown'
  }
  return text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH - 1)}…` : text
}

function textOf(value: unknown, depth: number): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value.slice(0, MAX_LENGTH))
    case 'bigint':
      return `${value}n`
    case 'function':
      return `function ${value.name}`.trimEnd()
    case 'object':
      return value === null ? 'null' : textOfObject(value, depth)
    default:
      return String(value)
  }
}

function textOfObject(value: object, depth: number): string {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString()
  if (ArrayBuffer.isView(value)) return `${nameOf(value)} of ${value.byteLength} bytes`
  if (depth === MAX_DEPTH) return Array.isArray(value) ? '[…]' : '{…}'
  if (Array.isArray(value)) return `[${few(value, (item) => textOf(item, depth + 1))}]`
  if (value instanceof Map) return `Map {${few([...value], (entry) => member(entry, depth))}}`
  if (value instanceof Set) return `Set {${few([...value], (item) => textOf(item, depth + 1))}}`
  const name = nameOf(value)
  const members = few(Object.entries(value), (entry) => member(entry, depth))
  return `${name === 'Object' ? '' : `${name} `}{${members}}`
}

function member([name, value]: readonly [unknown, unknown], depth: number): string {
  const label = typeof name === 'string' ? JSON.stringify(name) : textOf(name, depth + 1)
  return `${label}:${typeof name === 'string' && SECRET.test(name) ? '***' : textOf(value, depth + 1)}`
}

const few = <T>(items: readonly T[], show: (item: T) => string): string =>
  items.slice(0, MAX_MEMBERS).map(show).join(',')

function nameOf(value: object): string {
  const { constructor } = value
  return typeof constructor === 'function' ? constructor.name : 'Object'
}
