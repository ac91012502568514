import { WeirError } from '#runtime/base/errors'
import * as z from 'zod'
import { parseAllDocuments } from 'yaml'
import { API_VERSION } from './group.ts'
import { savepoint, type SavepointManifest } from './v1alpha1/savepoint.ts'
import { streamJob, type StreamJobManifest } from './v1alpha1/stream-job.ts'

export type Manifest = StreamJobManifest | SavepointManifest

/** One problem of a document, at a path such as `spec.checkpoint.interval`. */
export interface Problem {
  readonly path: string
  readonly message: string
}

/** All problems of an object at once; empty: it is valid. `value` has every default filled in. */
export function checkManifest(document: unknown): {
  readonly value?: Manifest
  readonly problems: readonly Problem[]
} {
  const head = z.looseObject({ apiVersion: z.string(), kind: z.string() }).safeParse(document)
  if (!head.success)
    return { problems: [{ path: '', message: 'not a Kubernetes object: apiVersion and kind are needed' }] }
  if (head.data.apiVersion !== API_VERSION)
    return {
      problems: [
        {
          path: 'apiVersion',
          message: `is ${JSON.stringify(head.data.apiVersion)}, expected ${API_VERSION}`,
        },
      ],
    }
  const schema =
    head.data.kind === 'StreamJob' ? streamJob : head.data.kind === 'Savepoint' ? savepoint : undefined
  if (schema === undefined)
    return {
      problems: [
        { path: 'kind', message: `is ${JSON.stringify(head.data.kind)}, expected StreamJob or Savepoint` },
      ],
    }
  const result = schema.safeParse(document)
  return result.success ? { value: result.data, problems: [] } : { problems: problemsOf(result.error) }
}

/**
 * Parses YAML or JSON text with one or more documents. Documents of other groups are skipped, so
 * that a file may hold the ConfigMaps of a job too.
 * @throws {WeirError} CFG_INVALID with every problem of every document, each with its path.
 */
export function parseManifests(text: string, fileName: string): readonly Manifest[] {
  const manifests: Manifest[] = []
  const lines: string[] = []
  for (const [index, document] of parseAllDocuments(text).entries()) {
    if (document.errors.length > 0) {
      lines.push(
        ...document.errors.map(
          (e) => `document ${index + 1}: ${e.message.split('\n')[0]?.replace(/:$/, '')}`,
        ),
      )
      continue
    }
    const data: unknown = document.toJS()
    if (data === null || isForeign(data)) continue
    const { value, problems } = checkManifest(data)
    if (value !== undefined) manifests.push(value)
    lines.push(
      ...problems.map((p) => `document ${index + 1}: ${p.path === '' ? '' : `${p.path}: `}${p.message}`),
    )
  }
  if (lines.length > 0)
    throw new WeirError('CFG_INVALID', `${fileName} is not valid:\n  ${lines.join('\n  ')}`)
  if (manifests.length === 0)
    throw new WeirError('CFG_INVALID', `${fileName} has no object of ${API_VERSION}. Expected a StreamJob.`)
  return manifests
}

function isForeign(data: unknown): boolean {
  const version =
    typeof data === 'object' && data !== null && 'apiVersion' in data ? data.apiVersion : undefined
  return typeof version === 'string' && !version.startsWith('weir.dev/')
}

export function problemsOf(error: z.ZodError): readonly Problem[] {
  return error.issues.flatMap((issue) => {
    const path = issue.path
      .map((p) => (typeof p === 'number' ? `[${p}]` : `.${String(p)}`))
      .join('')
      .replace(/^\./, '')
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => ({
        path: path === '' ? key : `${path}.${key}`,
        message: 'unknown field',
      }))
    return [{ path, message: issue.message }]
  })
}
