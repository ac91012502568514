/**
 * Lines of the job's module, as its author knows them. A bundle says by an inline source map which
 * file and line each of its places came from; that is used whether or not Node maps stacks, because
 * Node does not map a module that is loaded from memory under another name.
 */
import { SourceMap, type SourceMapPayload } from 'node:module'
import { dirname, isAbsolute, join } from 'node:path'

type MapOf = { readonly map: SourceMap | undefined }

/** By the name under which stacks show the module. */
const modules = new Map<string, MapOf>()

const INLINE_MAP = /^\/\/[#@] sourceMappingURL=data:application\/json(?:;charset=[^;,]+)?;base64,(\S+)\s*$/m

/** Whatever fails in this module's code from now on is placed by its own lines. */
export function registerUserSource(name: string, source: string): void {
  modules.set(name, { map: mapIn(source) })
}

/** A map that cannot be read is none: the bundle's own lines are better than no lines. */
function mapIn(source: string): SourceMap | undefined {
  const encoded = INLINE_MAP.exec(source)?.[1]
  if (encoded === undefined) return undefined
  try {
    return new SourceMap(JSON.parse(Buffer.from(encoded, 'base64').toString()) as SourceMapPayload)
  } catch {
    return undefined
  }
}

/** `file:line:column` of the first frame that lies in a job's module; undefined: none does. */
export function userLocation(stack: string | undefined): string | undefined {
  for (const frame of (stack ?? '').split('\n')) {
    const found = placeIn(frame)
    if (found !== undefined) return found.location
  }
  return undefined
}

/** The stack with the lines of the author's files. */
export function userStack(stack: string): string {
  return stack
    .split('\n')
    .map((frame) => {
      const found = placeIn(frame)
      return found === undefined ? frame : frame.replace(found.shown, () => found.location)
    })
    .join('\n')
}

/**
 * `shown`: what the frame says. A name with blanks is shown as part of the URL from which the
 * module was loaded.
 */
function placeIn(frame: string): { readonly shown: string; readonly location: string } | undefined {
  const position = /:(\d+):(\d+)\)?$/.exec(frame)
  if (position === null || !/^\s*at /.test(frame)) return undefined
  const before = frame.slice(0, position.index)
  for (const [name, { map }] of modules) {
    const shownName = [name, encodeURI(name)].find(
      (text) => before.endsWith(text) && /(?:[ (]|weir-job:\d+\/)$/.test(before.slice(0, -text.length)),
    )
    if (shownName === undefined) continue
    const [line, column] = [Number(position[1]), Number(position[2])]
    const own = `${name}:${line}:${column}`
    const location = map === undefined ? own : (mapped(name, map, line, column) ?? own)
    return { shown: `${shownName}:${line}:${column}`, location }
  }
  return undefined
}

function mapped(name: string, map: SourceMap, line: number, column: number): string | undefined {
  const origin = map.findOrigin(line, column)
  if (!('fileName' in origin) || !origin.fileName) return undefined
  const file = isAbsolute(origin.fileName) ? origin.fileName : join(dirname(name), origin.fileName)
  return `${file}:${origin.lineNumber}:${origin.columnNumber}`
}
