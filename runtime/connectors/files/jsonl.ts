import { join } from 'node:path'
import { JobFault } from '#runtime/base/job-fault'
import type { Sink, SinkContext } from '#runtime/connectors/sink'
import type { Source } from '#runtime/connectors/source'
import { parseFilePattern } from './file-pattern.ts'
import type { FileSplit } from './file-tree.ts'
import { JsonlWriter } from './jsonl-writer.ts'
import { LocalOutput } from './local-output.ts'
import { OutputNames, type FileCommittable, type Output, type Outputs } from './output.ts'
import { S3Output } from './s3-output.ts'
import { lineSource, type ReadFilesOptions } from './source.ts'

export type JsonlOptions = ReadFilesOptions

/** Lines of JSON: to read (`env.source`) and to write (`.sink`). */
export type Jsonl<T> = Source<T, FileSplit, number> & Sink<T, FileCommittable>

export function jsonl<T>(path: string, options: JsonlOptions = {}): Jsonl<T> {
  const source = lineSource<T>(
    'files.jsonl',
    path,
    (line) => (line.trim() === '' ? undefined : (JSON.parse(line) as T)),
    options,
  )
  return {
    ...source,
    guarantee: 'exactly-once',
    createWriter: (context) => {
      const closing = new AbortController()
      return new JsonlWriter<T>(openOutputs(path, context, closing.signal), context, closing)
    },
  }
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
