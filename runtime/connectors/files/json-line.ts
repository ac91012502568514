import { messageOf } from '#runtime/base/errors'
import { JobFault } from '#runtime/base/job-fault'

/**
 * A record as one line of JSON. What JSON would lose without a word is refused: a Map or Set would
 * be written as {}. Date is its ISO text; members that are undefined are left out; NaN and Infinity
 * are null, as everywhere in JavaScript.
 * @throws {JobFault} when the record holds what JSON cannot express
 */
export function jsonLine(value: unknown): string {
  let line: string | undefined
  try {
    line = JSON.stringify(value)
  } catch (error) {
    throw new JobFault(`JSON cannot express the record: ${firstLine(messageOf(error))}${ADVICE}`, error)
  }
  if (line === undefined) throw new JobFault(`JSON cannot express ${typeof value}${ADVICE}`)
  // An empty object in the text is where a Map or Set may have been.
  if (line.includes('{}')) {
    const found = findCollection(value, '')
    if (found !== undefined) throw new JobFault(`JSON would write ${found} as {}${ADVICE}`)
  }
  return line
}

const ADVICE =
  '. Map the record to JSON before the sink: String(n) for a bigint, Object.fromEntries(map) for a Map, ' +
  '[...set] for a Set.'

const firstLine = (text: string): string => text.split('\n', 1)[0] ?? text

/** The first Map or Set in what JSON.stringify has walked. */
function findCollection(value: unknown, path: string): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const place = path === '' ? '' : ` at ${path}`
  if (value instanceof Map) return `a Map${place}`
  if (value instanceof Set) return `a Set${place}`
  if (typeof (value as { toJSON?: unknown }).toJSON === 'function') return undefined
  for (const [name, member] of Object.entries(value)) {
    const found = findCollection(member, Array.isArray(value) ? `${path}[${name}]` : `${path}.${name}`)
    if (found !== undefined) return found
  }
  return undefined
}
