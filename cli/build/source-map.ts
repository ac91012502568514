/**
 * Source maps, version 3 (ECMA-426): per line of the generated text, separated by `;`, segments
 * separated by `,`. A segment has 1, 4 or 5 numbers, base64 VLQ, each the difference to the one
 * before: generated column (from 0 in each line); source, its line, its column; name. One with one
 * number says: from here on the text comes from nowhere.
 */

export interface SourceMapText {
  readonly version: 3
  readonly sources: readonly string[]
  readonly names: readonly string[]
  readonly mappings: string
}

/**
 * The map without the lines of some sources, and without their names. Places that came from there
 * come from nowhere, not from the place before. Pure.
 */
export function withoutSources(
  { sources, names, mappings }: SourceMapText,
  isDropped: (source: string) => boolean,
): SourceMapText {
  const kept = sources.filter((source) => !isDropped(source))
  const positionOf = new Map(kept.map((source, index) => [source, index]))
  const reader = new SegmentReader()
  const writer = new SegmentWriter()
  const lines = mappings.split(';').map((line) => {
    reader.beginLine()
    writer.beginLine()
    const segments = line === '' ? [] : line.split(',')
    return segments
      .flatMap((segment) => {
        const { column, origin } = reader.read(segment)
        const source = origin === undefined ? undefined : positionOf.get(sources[origin.source] ?? '')
        return writer.write(column, origin && source !== undefined ? { ...origin, source } : undefined)
      })
      .join(',')
  })
  return { version: 3, sources: kept, names, mappings: lines.join(';') }
}

interface Origin {
  readonly source: number
  readonly line: number
  readonly column: number
  readonly name?: number
}

class SegmentReader {
  #column = 0
  #origin = { source: 0, line: 0, column: 0, name: 0 }

  beginLine(): void {
    this.#column = 0
  }

  read(segment: string): { readonly column: number; readonly origin: Origin | undefined } {
    const [column = 0, source, line = 0, originColumn = 0, name] = decode(segment)
    this.#column += column
    if (source === undefined) return { column: this.#column, origin: undefined }
    const last = this.#origin
    this.#origin = {
      source: last.source + source,
      line: last.line + line,
      column: last.column + originColumn,
      name: last.name + (name ?? 0),
    }
    const { name: named, ...origin } = this.#origin
    return { column: this.#column, origin: name === undefined ? origin : { ...origin, name: named } }
  }
}

class SegmentWriter {
  #column = 0
  #origin = { source: 0, line: 0, column: 0, name: 0 }
  /** Whether what was last written comes from nowhere, as does what comes before all segments. */
  #isNowhere = true

  beginLine(): void {
    this.#column = 0
  }

  /** None where nothing changes. */
  write(column: number, origin: Origin | undefined): readonly string[] {
    if (origin === undefined && this.#isNowhere) return []
    this.#isNowhere = origin === undefined
    const moved = column - this.#column
    this.#column = column
    if (origin === undefined) return [encode([moved])]
    const last = this.#origin
    const { name } = origin
    this.#origin = { ...origin, name: name ?? last.name }
    return [
      encode([
        moved,
        origin.source - last.source,
        origin.line - last.line,
        origin.column - last.column,
        ...(name === undefined ? [] : [name - last.name]),
      ]),
    ]
  }
}

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const VALUES: ReadonlyMap<string, number> = new Map(DIGITS.split('').map((digit, value) => [digit, value]))

/** Five bits in each digit, lowest first; 32: more follow. The lowest bit of all is the sign. */
function decode(segment: string): readonly number[] {
  const numbers: number[] = []
  let [value, shift] = [0, 0]
  for (const digit of segment) {
    const bits = VALUES.get(digit) ?? 0
    value += (bits & 31) << shift
    shift += 5
    if ((bits & 32) !== 0) continue
    numbers.push((value & 1) === 1 ? -(value >>> 1) : value >>> 1)
    ;[value, shift] = [0, 0]
  }
  return numbers
}

const encode = (numbers: readonly number[]): string => numbers.map(encodeNumber).join('')

function encodeNumber(value: number): string {
  let rest = value < 0 ? (-value << 1) | 1 : value << 1
  let text = ''
  do {
    const more = rest > 31 ? 32 : 0
    text += DIGITS[(rest & 31) | more] ?? ''
    rest >>>= 5
  } while (rest > 0)
  return text
}
