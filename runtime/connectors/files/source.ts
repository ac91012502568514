import { WeirError } from '#runtime/base/errors'
import { refuseUnknownOptions } from '#runtime/base/known-options'
import { parseDuration } from '#runtime/base/units'
import type { Source } from '#runtime/connectors/source'
import { FileDiscovery } from './discovery.ts'
import { parseFilePattern } from './file-pattern.ts'
import type { FileSplit } from './file-tree.ts'
import { LineReader } from './line-reader.ts'
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
   * What to do with a line that is too long or is not what was expected: fail the job (default), or
   * count and skip it.
   */
  readonly onBadLine?: 'fail' | 'skip'
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

const DEFAULT_MAX_LINE_BYTES = 10 * 1024 * 1024

/** A source of the lines of files. `parse` makes a record of a line, or undefined for none. */
export function lineSource<T>(
  what: string,
  path: string,
  parse: (line: string) => T | undefined,
  options: ReadFilesOptions,
): Source<T, FileSplit, number> {
  refuseUnknownOptions(what, options, ['watch', 'maxLineBytes', 'onBadLine', 'timeOrdered', 'splitBytes'])
  const pattern = parseFilePattern(what, path)
  const { maxLineBytes = DEFAULT_MAX_LINE_BYTES, onBadLine = 'fail', timeOrdered = false } = options
  const watchMs = options.watch === undefined ? undefined : parseDuration(options.watch)
  if (watchMs !== undefined && watchMs < 10)
    throw new WeirError('CFG_GRAPH', `${what}: watch is ${options.watch}; expected at least 10ms.`)
  if (!(Number.isInteger(maxLineBytes) && maxLineBytes > 0))
    throw new WeirError(
      'CFG_GRAPH',
      `${what}: maxLineBytes is ${maxLineBytes}; expected a whole number above 0.`,
    )
  const splitBytes = splitBytesOf(what, options)
  const description = `${what}(${path})`
  return {
    description,
    bounded: watchMs === undefined,
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
