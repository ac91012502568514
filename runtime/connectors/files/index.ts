import { refuseUnknownOptions } from '#runtime/base/known-options'
import type { InferOutput, StandardSchema } from '#runtime/base/standard-schema'
import type { Source } from '#runtime/connectors/source'
import type { FilePosition } from './file-cursor.ts'
import type { FileSplit } from './file-tree.ts'
import { jsonl, type Jsonl, type JsonlOptions } from './jsonl.ts'
import type { BadLine } from './line-reader.ts'
import { lineSource, READ_OPTIONS, type ReadFilesOptions } from './source.ts'

export type { BadLine, Jsonl, JsonlOptions, ReadFilesOptions }

function lines(path: string, options: ReadFilesOptions = {}): Source<string, FileSplit, FilePosition> {
  refuseUnknownOptions('files.lines', options, READ_OPTIONS)
  return lineSource('files.lines', path, (line) => line, options)
}

function jsonLines<S extends StandardSchema<any, any>>(
  path: string,
  options: JsonlOptions & { readonly schema: S },
): Jsonl<InferOutput<S>>
function jsonLines<T = any>(path: string, options?: JsonlOptions): Jsonl<T>
function jsonLines(path: string, options: JsonlOptions = {}): Jsonl<unknown> {
  refuseUnknownOptions('files.jsonl', options, [...READ_OPTIONS, 'schema'])
  return jsonl<unknown>(path, options)
}

/**
 * Files, local or on S3 (`s3://bucket/prefix/`). To read, a path is a file, a directory with all
 * below it, or a glob; names that begin with a dot are skipped. Each file is read once, as it was
 * when found: put files there whole (write elsewhere, then move). To write, a path is a directory.
 */
export const files = {
  /** The lines of text files, without their ends. */
  lines,
  /**
   * Lines of JSON. As a source: one record per line, empty lines skipped; with `schema`, what the
   * schema makes of it. As a sink: exactly once, one file
   * `part-<subtask>-<checkpoint before>-<attempt>-<sink>.jsonl` for each checkpoint and subtask
   * with records, which appears when the checkpoint is complete.
   */
  jsonl: jsonLines,
}
