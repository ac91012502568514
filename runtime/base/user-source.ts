/**
 * Lines of the job's module, as its author knows them. A bundle says by an inline source map which
 * file and line each of its places came from; that is used whether or not Node maps stacks, because
 * Node does not map a module that is loaded from memory under another name.
 */
import { SourceMap, type SourceMapPayload } from 'node:module'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

interface UserSource {
  readonly map: SourceMap | undefined
  /** Without the number of the evaluation. */
  readonly url: string
}

/** By the name under which stacks show the module. */
const modules = new Map<string, UserSource>()

const INLINE_MAP = /^\/\/[#@] sourceMappingURL=data:application\/json(?:;charset=[^;,]+)?;base64,(\S+)\s*$/m

/** Whatever fails in this module's code from now on is placed by its own lines. */
export function registerUserSource(name: string, source: string): void {
  modules.set(name, { map: mapIn(source), url: urlOf(name) })
}

const urlOf = (name: string): string => pathToFileURL(resolve(name)).href

/**
 * `import.meta.url` of the `evaluation`-th module that was loaded: the file's own, so that what
 * looks for files beside itself finds them, and another one for each evaluation.
 */
export const userModuleUrl = (name: string, evaluation: number): string =>
  `${urlOf(name)}?weir-job=${evaluation}`

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

/**
 * `file:line:column` of the first frame that lies in a job's module, undefined: none does. In a
 * bundle that of the first one in a file of the author's: packages in it have no lines in the map.
 */
export function userLocation(stack: string | undefined): string | undefined {
  let first: string | undefined
  for (const frame of (stack ?? '').split('\n')) {
    const found = placeIn(frame)
    if (found?.isAuthors === true) return found.location
    first ??= found?.location
  }
  return first
}

/** `file:line:column` of a frame that lies in a file of the author's; undefined: it does not. */
export function authorsLocation(frame: string): string | undefined {
  const found = placeIn(frame)
  return found?.isAuthors === true ? found.location : undefined
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

interface Place {
  /** What the frame says. */
  readonly shown: string
  readonly location: string
  /** False: a line of a bundle that comes from no file of the author's. */
  readonly isAuthors: boolean
}

function placeIn(frame: string): Place | undefined {
  const position = /:(\d+):(\d+)\)?$/.exec(frame)
  if (position === null || !/^\s*at /.test(frame)) return undefined
  const before = frame.slice(0, position.index)
  for (const [name, module] of modules) {
    const shownName = nameIn(before, name, module.url)
    if (shownName === undefined) continue
    const [line, column] = [Number(position[1]), Number(position[2])]
    const own = `${name}:${line}:${column}`
    const authors = module.map === undefined ? own : mapped(name, module.map, line, column)
    const isAuthors = authors !== undefined
    return { shown: `${shownName}:${line}:${column}`, location: authors ?? own, isAuthors }
  }
  return undefined
}

/** A name with blanks is shown as the URL from which the module was loaded. */
function nameIn(before: string, name: string, url: string): string | undefined {
  if (before.endsWith(name) && /[ (]$/.test(before.slice(0, -name.length))) return name
  const inMemory = /\?weir-job=\d+$/.exec(before)
  if (inMemory === null || !before.slice(0, inMemory.index).endsWith(url)) return undefined
  return url + inMemory[0]
}

function mapped(name: string, map: SourceMap, line: number, column: number): string | undefined {
  const origin = map.findOrigin(line, column)
  if (!('fileName' in origin) || !origin.fileName) return undefined
  const file = isAbsolute(origin.fileName) ? origin.fileName : join(dirname(name), origin.fileName)
  return `${file}:${origin.lineNumber}:${origin.columnNumber}`
}
