import { WeirError } from '#runtime/base/errors'
import { preview } from '#runtime/base/preview'
import { parseDuration } from '#runtime/base/units'
import type { Source } from '#runtime/connectors/source'
import { SideOutput } from '#runtime/element/side-output'
import { FileDiscovery } from './discovery.ts'
import { parseFilePattern } from './file-pattern.ts'
import type { FilePosition } from './file-cursor.ts'
import type { FileSplit } from './file-tree.ts'
import { LineReader, type OnBadLine } from './line-reader.ts'
import { openFileTree } from './open-file-tree.ts'

export interface ReadFilesOptions {
  /**
   * Look for new files this often, such as "1s"; the source then never ends. On S3 each look lists
   * the whole prefix. Default: read what is there, and end.
   */
  readonly watch?: string
  /** Longest line, without its end. Default 10 MiB. */
  readonly maxLineBytes?: number
  /**
   * What to do with a line that is too long or is not what was expected: fail the job (default),
   * count and skip it, or put it out by a side output, which `getSideOutput` behind the source
   * reads.
   */
  readonly onBadLine?: OnBadLine
  /**
   * The files follow each other in event time in the order of their paths. Default: nothing is
   * known of their times, so event time stands still while a file that has been found waits to be
   * read: no file makes another one late, but windows stay open, in memory, until the last file is
   * being read. With `true` windows close as the files are read; a file that goes back further than
   * the watermarks allow is late.
   */
  readonly timeOrdered?: boolean
  /**
   * Files larger than this are read in parts of about this size, by several readers at once, cut at
   * ends of lines. Event time stands still until the last part is being read. Default: a file is
   * read by one reader, whatever its size. Not with `timeOrdered`.
   */
  readonly splitBytes?: number
}

export const READ_OPTIONS = ['watch', 'maxLineBytes', 'onBadLine', 'timeOrdered', 'splitBytes'] as const

const DEFAULT_MAX_LINE_BYTES = 10 * 1024 * 1024

/** A source of the lines of files. `parse` makes a record of a line, or undefined for none. */
export function lineSource<T>(
  what: string,
  path: string,
  parse: (line: string) => T | undefined,
  options: ReadFilesOptions,
): Source<T, FileSplit, FilePosition> {
  const pattern = parseFilePattern(what, path)
  const { maxLineBytes, onBadLine, timeOrdered, splitBytes, watchMs } = checkedOptions(what, options)
  const description = `${what}(${path})`
  return {
    description,
    bounded: watchMs === undefined,
    sideOutput: onBadLine instanceof SideOutput ? onBadLine : undefined,
    createDiscovery: (context) =>
      new FileDiscovery(
        { what: description, watchMs, splitBytes },
        openFileTree(pattern, context.access),
        context,
      ),
    createReader: (context) =>
      new LineReader({
        tree: openFileTree(pattern, context.access),
        context,
        maxLineBytes,
        onBadLine,
        timeOrdered,
        parse,
      }),
  }
}

/** @throws {WeirError} CFG_GRAPH, CFG_INVALID naming the option that cannot be */
function checkedOptions(what: string, options: ReadFilesOptions) {
  const { maxLineBytes = DEFAULT_MAX_LINE_BYTES, onBadLine = 'fail', timeOrdered = false } = options
  if (!(Number.isInteger(maxLineBytes) && maxLineBytes > 0))
    throw new WeirError(
      'CFG_GRAPH',
      `${what}: maxLineBytes is ${maxLineBytes}; expected a whole number above 0.`,
    )
  if (onBadLine !== 'fail' && onBadLine !== 'skip' && !(onBadLine instanceof SideOutput))
    throw new WeirError(
      'CFG_GRAPH',
      `${what}: onBadLine is ${preview(onBadLine)}. Expected 'fail', 'skip' or a side output: ` +
        "const bad = sideOutput<BadLine>('bad').",
    )
  const splitBytes = splitBytesOf(what, options)
  return { maxLineBytes, onBadLine, timeOrdered, splitBytes, watchMs: watchMsOf(what, options) }
}

function watchMsOf(what: string, { watch }: ReadFilesOptions): number | undefined {
  if (watch === undefined) return undefined
  const watchMs = parseDuration(watch)
  if (watchMs >= 10) return watchMs
  throw new WeirError('CFG_GRAPH', `${what}: watch is ${watch}; expected at least 10ms.`)
}

/** Below it, looking for the ends of lines costs more than reading at once gains. */
const MIN_SPLIT_BYTES = 64 * 1024

function splitBytesOf(what: string, { splitBytes = Infinity, timeOrdered }: ReadFilesOptions): number {
  if (splitBytes === Infinity) return splitBytes
  if (!Number.isInteger(splitBytes) || splitBytes < MIN_SPLIT_BYTES)
    throw new WeirError(
      'CFG_GRAPH',
      `${what}: splitBytes is ${splitBytes}; expected a whole number of at least ${MIN_SPLIT_BYTES}.`,
    )
  if (timeOrdered === true)
    throw new WeirError(
      'CFG_GRAPH',
      `${what}: splitBytes and timeOrdered exclude each other: parts of a file that are read at once ` +
        'do not follow each other in event time.',
    )
  return splitBytes
}
