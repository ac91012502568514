import { Script } from 'node:vm'

export interface Position {
  readonly line: number
  readonly column?: number | undefined
}

/** `job.ts:3:8` with the line's text below it, marked. Without a position only the name. */
export function atLine(
  module: { readonly name: string; readonly source: string },
  position: Position | undefined,
): string {
  if (position === undefined) return module.name
  const { line, column } = position
  const text = module.source.split(/\r?\n/)[line - 1]
  const place = `${module.name}:${line}${column === undefined ? '' : `:${column}`}`
  return text === undefined || text.trim() === '' ? place : `${place} \`${text.trim()}\``
}

/** The first line (from 1) on which `pattern` occurs. */
export function lineOf(source: string, pattern: RegExp): number | undefined {
  const index = source.split(/\r?\n/).findIndex((line) => pattern.test(line))
  return index === -1 ? undefined : index + 1
}

/**
 * Where V8 found a syntax error. Its message for a module's early error carries no position, so the
 * text is parsed once more as a function body, with imports and exports blanked out, only to learn
 * the line.
 */
export function syntaxErrorLocation(
  name: string,
  javascript: string,
  error: SyntaxError,
): Position | undefined {
  const own = positionIn(name, error.stack)
  if (own !== undefined) return own
  const blank = (text: string) => text.replace(/[^\n]/g, ' ')
  const body = javascript
    .replace(/^[ \t]*import\s*(?:[\w*{][^'"]*?from\s*)?['"][^'"]*['"];?/gm, blank)
    .replace(/^([ \t]*)export\s+default\b/gm, (all, indent: string) => `${indent}void`.padEnd(all.length))
    .replace(/^([ \t]*)export\b(?=\s+(?:const|let|var|function|class|async))/gm, blank)
  try {
    new Script(`(async () => {${body}\n})`, { filename: name })
  } catch (again) {
    if (again instanceof SyntaxError) return positionIn(name, again.stack)
  }
  return undefined
}

/**
 * V8 begins the stack of a SyntaxError with `name:line`, the line's text, and a caret below the
 * column.
 */
function positionIn(name: string, stack: string | undefined): Position | undefined {
  const lines = (stack ?? '').split('\n')
  const at = lines.findIndex((l) => l.startsWith(`${name}:`) && /^\d+$/.test(l.slice(name.length + 1)))
  if (at === -1) return undefined
  const line = Number(lines[at]?.slice(name.length + 1))
  const caret = lines[at + 2]?.indexOf('^') ?? -1
  return caret === -1 ? { line } : { line, column: caret + 1 }
}
