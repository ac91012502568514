/**
 * The keys of process configurations, by the version of the runtime that read them first. A runtime
 * refuses keys that it does not know, and the operator starts runtimes older than itself: it serves
 * those of its own and of the two previous minor versions (`OLDEST_RUNTIME`). So a key that
 * the oldest of them does not know is written only where it changes something.
 *
 * A new key is entered here with the version that it comes with; a test compares the table with the
 * schemas. The default of a key that older runtimes know may change: those keys are always written.
 */
import type * as z from 'zod'

/** The oldest version of the runtime that the operator of this version starts. */
export const OLDEST_RUNTIME = '0.1.0'

export type KeysByVersion = Readonly<Record<string, readonly string[]>>

const S3_ACCESS = ['endpoint', 'region', 'forcePathStyle', 'credentialsDir', 'caFile']
const below = (key: string, names: readonly string[]): string[] => [key, ...names.map((n) => `${key}.${n}`)]

const COMMON: readonly string[] = [
  ...below('job', ['cluster', 'namespace', 'name', 'uid']),
  ...below('storage', ['type', 'root', 'bucket']),
  ...below('storage.access', S3_ACCESS),
  ...below('s3', S3_ACCESS),
  ...['logLevel', 'tokenFile', 'run', 'id'],
]

export const JOB_MANAGER_KEYS: KeysByVersion = {
  '0.1.0': [
    ...COMMON,
    ...below('module', ['path', 'args']),
    ...['parallelism', 'maxParallelism', 'expectedSlots'],
    ...below('checkpoint', ['intervalMs', 'timeoutMs', 'minPauseMs', 'tolerableFailures', 'retain']),
    ...below('restart', ['strategy', 'delayMs', 'maxDelayMs', 'windowMs', 'maxAttempts']),
    ...below('restore', ['path', 'allowNonRestoredState']),
    ...below('redis', ['url', 'credentialsDir', 'caFile', 'keyPrefix', 'ttlMs']),
    ...below('rpc', ['host', 'port']),
    ...below('rest', ['host', 'port']),
    ...['readyFile', 'allowNonRestoredState'],
  ],
}

export const TASK_MANAGER_KEYS: KeysByVersion = {
  '0.1.0': [
    ...COMMON,
    ...['slots', 'jobManagers', 'orphanTimeoutMs'],
    ...below('data', ['host', 'port', 'advertise']),
  ],
}

/** Keys that came after `oldest`, those of a key before the key itself. */
function keysAfter(oldest: string, keys: KeysByVersion): readonly string[] {
  return Object.entries(keys)
    .flatMap(([version, names]) => (isAfter(version, oldest) ? names : []))
    .toSorted((a, b) => b.length - a.length)
}

function isAfter(version: string, other: string): boolean {
  const [a, b] = [version.split('.').map(Number), other.split('.').map(Number)]
  const differing = a.findIndex((part, index) => part !== b[index])
  return differing >= 0 && (a[differing] ?? 0) > (b[differing] ?? 0)
}

/**
 * What is written of a configuration so that runtimes from `oldest` on accept it: keys that came
 * later are left out where the configuration says the same without them.
 */
export function writtenFor<T extends object>(
  config: T,
  schema: z.ZodType<T>,
  keys: KeysByVersion,
  oldest = OLDEST_RUNTIME,
): object {
  const same = JSON.stringify(schema.parse(config))
  let written: object = config
  for (const key of keysAfter(oldest, keys)) {
    const shorter = without(written, key.split('.'))
    const parsed = schema.safeParse(shorter)
    if (parsed.success && JSON.stringify(parsed.data) === same) written = shorter
  }
  return written
}

function without(of: object, [first = '', ...rest]: readonly string[]): object {
  const entries = Object.entries(of).flatMap(([name, value]: [string, unknown]) => {
    if (name !== first) return [[name, value]]
    return rest.length > 0 && typeof value === 'object' && value !== null
      ? [[name, without(value, rest)]]
      : []
  })
  return Object.fromEntries(entries) as object
}
