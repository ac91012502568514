import { tableOfState } from './state-cells.ts'

/** Kinds of the keys and values of one table, as far as they were met. */
export interface StateShape {
  readonly keys: string[]
  readonly values: string[]
}

/**
 * What a backend's tables hold, as seen while their entries are written: whoever restores them can
 * be told what they are without reading them.
 */
export class StateShapes {
  readonly #tables = new Map<string, { readonly keys: Set<string>; readonly values: Set<string> }>()

  note(table: string, keys: readonly unknown[], values: readonly unknown[]): void {
    let shape = this.#tables.get(table)
    if (shape === undefined) this.#tables.set(table, (shape = { keys: new Set(), values: new Set() }))
    noteKinds(shape.keys, keys)
    noteKinds(shape.values, values)
  }

  /** Of a state by its name; its tables: state-cells.ts. */
  of(name: string): StateShape {
    const shape = this.#tables.get(tableOfState(name)) ?? this.#tables.get(name)
    return { keys: [...(shape?.keys ?? [])].sort(), values: [...(shape?.values ?? [])].sort() }
  }
}

function noteKinds(kinds: Set<string>, values: readonly unknown[]): void {
  let last = ''
  for (const value of values) {
    const kind = kindOf(value)
    if (kind !== last) kinds.add((last = kind))
  }
}

/** In a word: `string`, `list`, `object` ... */
export function kindOf(value: unknown): string {
  if (typeof value !== 'object') return typeof value
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'list'
  if (value instanceof Map) return 'map'
  if (value instanceof Set) return 'set'
  if (value instanceof Date) return 'date'
  return ArrayBuffer.isView(value) ? 'bytes' : 'object'
}
