import { describe, expect, test } from 'vitest'
import { parseSource, SOURCE_FOLDERS, type SourceFile, sourceFiles } from '#tools/source-file'

/** Files that are one thing in parts: each is the type of what another returns. */
const ALLOWED: readonly (readonly string[])[] = [
  ['runtime/graph/data-stream', 'runtime/graph/keyed-stream', 'runtime/graph/windowed-stream'],
  ['runtime/state/descriptors', 'runtime/state/handles'],
]

/**
 * Groups of files that reach each other by imports, types and lazy imports included (Tarjan's
 * strongly connected components), each sorted.
 */
function circles(files: readonly SourceFile[]): string[][] {
  const imports = new Map(files.map((file) => [moduleOf(file), file.imports.flatMap((it) => it.path ?? [])]))
  const order = new Map<string, number>()
  const lowest = new Map<string, number>()
  const open: string[] = []
  const found: string[][] = []
  const lower = (module: string, to: number | undefined) =>
    lowest.set(module, Math.min(lowest.get(module) ?? Infinity, to ?? Infinity))
  const close = (module: string): void => {
    const group = open.splice(open.indexOf(module))
    if (group.length > 1) found.push(group.toSorted())
  }
  const visit = (module: string): void => {
    const number = order.size
    order.set(module, number)
    lowest.set(module, number)
    open.push(module)
    for (const target of imports.get(module) ?? []) {
      if (!imports.has(target)) continue
      if (!order.has(target)) {
        visit(target)
        lower(module, lowest.get(target))
      } else if (open.includes(target)) lower(module, order.get(target))
    }
    if (lowest.get(module) === number) close(module)
  }
  for (const module of imports.keys()) if (!order.has(module)) visit(module)
  return found.toSorted((a, b) => (a[0] ?? '').localeCompare(b[0] ?? ''))
}

const moduleOf = ({ path }: SourceFile): string => path.replace(/\.ts$/, '')

describe('imports', () => {
  test('go in circles only where files are one thing in parts', () => {
    const allowed = ALLOWED.map((group) => group.join(' '))
    expect(circles(sourceFiles(SOURCE_FOLDERS)).map((group) => group.join(' '))).toEqual(allowed.toSorted())
  })
})

describe('circles()', () => {
  const files = (of: Readonly<Record<string, string>>): SourceFile[] =>
    Object.entries(of).map(([name, text]) => parseSource(`a/${name}.ts`, text))

  test('finds a circle of types, and a longer one, each once', () => {
    const found = circles(
      files({
        top: "import { x } from './x.ts'",
        x: "import type { Y } from './y.ts'",
        y: "import { x } from './x.ts'\nimport { p } from './p.ts'",
        p: "import { q } from './q.ts'",
        q: "export const late = () => import('./r.ts')",
        r: "export type P = typeof import('./p.ts')",
      }),
    )
    expect(found).toEqual([
      ['a/p', 'a/q', 'a/r'],
      ['a/x', 'a/y'],
    ])
  })

  test('finds none where two ways lead to the same file', () => {
    const diamond = {
      top: "import './left.ts'\nimport './right.ts'",
      left: "import './end.ts'",
      right: "import './end.ts'",
      end: '',
    }
    expect(circles(files(diamond))).toEqual([])
  })
})
