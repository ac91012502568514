import type { Source } from '#runtime/connectors/source'
import type { FileSplit } from './file-tree.ts'
import { jsonl, type Jsonl, type JsonlOptions } from './jsonl.ts'
import { lineSource, type ReadFilesOptions } from './source.ts'

export type { Jsonl, JsonlOptions, ReadFilesOptions }

/**
 * Files, local or on S3 (`s3://bucket/prefix/`). To read, a path is a file, a directory with all
 * below it, or a glob; names that begin with a dot are skipped. Each file is read once, as it was
 * when found: put files there whole (write elsewhere, then move). To write, a path is a directory.
 */
export const files = {
  /** The lines of text files, without their ends. */
  lines: (path: string, options: ReadFilesOptions = {}): Source<string, FileSplit, number> =>
    lineSource('files.lines', path, (line) => line, options),
  /**
   * Lines of JSON. As a source: one record per line, empty lines skipped. As a sink: exactly once,
   * one file `part-<subtask>-<checkpoint before>-<attempt>-<sink>.jsonl` for each checkpoint and
   * subtask with records, which appears when the checkpoint is complete.
   */
  jsonl: <T = any>(path: string, options: JsonlOptions = {}): Jsonl<T> => jsonl<T>(path, options),
}
