import { createHash } from 'node:crypto'
import { streamJobSpec, type StreamJobSpec } from '#operator/api/v1alpha1/stream-job'

/** Same text for equal values, whatever the order of their keys. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const entries = Object.entries(value)
    .filter(([, v]) => v !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${entries.map(([k, v]) => `${JSON.stringify(k)}:${canonicalJson(v)}`).join(',')}}`
}

function shortHash(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex').slice(0, 16)
}

const REFERENCE = streamJobSpec.parse({
  job: { inline: '-' },
  storage: { s3: { bucket: 'nobody-has-this-bucket' } },
  redis: { url: 'redis://-' },
})

/**
 * Hash of what a run is made from: a different hash needs a new run. Values that equal their
 * default do not count, so that a field that a later version adds changes no hash. Left out because
 * they act without a new run: state, upgrade, restore, the number of JobManagers (but not whether
 * there is more than one: standbys need Redis in the run's configuration), and the number of
 * TaskManagers where parallelism is fixed.
 */
export function specHash(spec: StreamJobSpec, moduleSource: string | undefined): string {
  const { state: _state, upgrade: _upgrade, restore: _restore, ...rest } = spec
  const { replicas: jobManagers, ...jobManager } = rest.jobManager
  const { replicas, ...taskManager } = rest.taskManager
  const pruned = withoutDefaults({ ...rest, jobManager, taskManager }, REFERENCE)
  return shortHash({
    spec: pruned,
    ...(spec.parallelism === undefined ? { taskManagers: replicas } : {}),
    ...(jobManagers > 1 ? { standby: true } : {}),
    ...(moduleSource === undefined
      ? {}
      : { module: createHash('sha256').update(moduleSource).digest('hex') }),
  })
}

/** Hash of the restore block: it acts once for every change. */
export function restoreHash(restore: StreamJobSpec['restore']): string | undefined {
  return restore === undefined ? undefined : shortHash(restore)
}

/** Of what a check of a run depends on: the same id, the same answer. */
export const checkId = (about: readonly (string | undefined)[]): string => shortHash(about).slice(0, 10)

function withoutDefaults(value: unknown, reference: unknown): unknown {
  if (!isObject(value) || !isObject(reference)) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, v]) => canonicalJson(v) !== canonicalJson(reference[key]))
      .map(([key, v]) => [key, withoutDefaults(v, reference[key])]),
  )
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
