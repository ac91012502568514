import { join } from 'node:path'
import { messageOf, WeirError } from '#runtime/base/errors'
import { preview } from '#runtime/base/preview'
import { JobFault } from '#runtime/base/job-fault'
import type { Sink, SinkContext } from '#runtime/connectors/sink'
import type { Source } from '#runtime/connectors/source'
import { parseFilePattern } from './file-pattern.ts'
import type { FileSplit } from './file-tree.ts'
import { JsonlWriter } from './jsonl-writer.ts'
import { LocalOutput } from './local-output.ts'
import { OutputNames, type FileCommittable, type Output, type Outputs } from './output.ts'
import { S3Output } from './s3-output.ts'
import { answerOf, isStandardSchema, issuesText, type StandardSchema } from '#runtime/base/standard-schema'
import type { FilePosition } from './file-cursor.ts'
import { lineSource, type ReadFilesOptions } from './source.ts'

export interface JsonlOptions extends ReadFilesOptions {
  /**
   * Of a source: what a line must be, by zod, valibot, arktype or another Standard Schema. A line
   * that does not pass is a bad line; of one that does, the record is what the schema gives.
   */
  readonly schema?: StandardSchema<any, any>
}

/** Lines of JSON: to read (`env.source`) and to write (`.sink`). */
export type Jsonl<T> = Source<T, FileSplit, FilePosition> & Sink<T, FileCommittable>

export function jsonl<T>(path: string, options: JsonlOptions = {}): Jsonl<T> {
  const { schema } = options
  if (schema !== undefined && !isStandardSchema(schema))
    throw new WeirError(
      'CFG_GRAPH',
      `files.jsonl: schema is ${preview(schema)}. Expected a Standard Schema, such as z.object({ ... }).`,
    )
  const parse = (line: string): T | undefined => {
    if (line.trim() === '') return undefined
    const value = parseJson(line)
    return (schema === undefined ? value : checked(schema, value)) as T
  }
  const source = lineSource<T>('files.jsonl', path, parse, options)
  return {
    ...source,
    guarantee: 'exactly-once',
    createWriter: (context) => {
      const closing = new AbortController()
      return new JsonlWriter<T>(openOutputs(path, context, closing.signal), context, closing)
    },
  }
}

/** The places that V8 adds are those of the text of one line. */
function parseJson(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch (error) {
    throw new Error(messageOf(error).replace(/ in JSON at position .*$/s, ' in JSON'), { cause: error })
  }
}

/** @throws {JobFault} when the schema is asynchronous; an Error saying what does not pass */
function checked(schema: StandardSchema<any, any>, value: unknown): unknown {
  const result = answerOf(schema, value)
  if (result === undefined)
    throw new JobFault(
      'files.jsonl: the schema checks asynchronously. Expected a schema that answers at once.',
    )
  if (result.issues === undefined) return result.value
  throw new Error(issuesText(result.issues))
}

function openOutputs(path: string, context: SinkContext, signal: AbortSignal): Outputs {
  const { bucket: name, base, isGlob } = parseFilePattern('files.jsonl', path)
  if (isGlob)
    throw new JobFault(
      `files.jsonl: cannot write to the glob ${path}. ` +
        'Expected a directory such as "out/" or "s3://bucket/out/".',
    )
  const { access, clock, job, uid, formerly } = context
  const bucket = name === undefined ? undefined : access.bucket(name)
  const prefix = base === '' ? '' : `${base}/`
  const outputOf = (sink: string): Output => {
    const names = new OutputNames(job.uid, sink)
    if (name === undefined || bucket === undefined) return new LocalOutput(join(base), names, access.disk)
    return new S3Output({ name, prefix, bucket, clock, signal }, names)
  }
  return { own: outputOf(uid), former: formerly.map(outputOf) }
}
