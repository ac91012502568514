/** How values that an earlier version of a job has stored become those of this one. */
import { messageOf, WeirError } from '#runtime/base/errors'
import { JobFault } from '#runtime/base/job-fault'
import { preview } from '#runtime/base/preview'
import { answerOf, isStandardSchema, issuesText, type StandardSchema } from '#runtime/base/standard-schema'
import { notAPromise } from '#runtime/base/synchronous'
import { sha256Of } from '#runtime/base/sha256'
import { findNoData } from '#runtime/element/plain-data'
import type { KeyedStateBackend, StateTable } from './keyed-state.ts'

/** V: what is stored per key; of a list an item, of a map a value. */
export interface EvolutionOptions<V> {
  /**
   * Of what is stored: a whole number, raised when an earlier version's values are no longer right.
   * Default 1. A version above 1 needs `migrate`.
   */
  readonly version?: number
  /** Makes a value that `version` of the state has stored one of this version. */
  readonly migrate?: (stored: unknown, version: number) => V
  /**
   * What values are: any Standard Schema. Those that were stored by a version of the job with
   * another schema, or with one that cannot say what it is, are checked when they are restored,
   * after `migrate`; what the schema makes of them is kept, so that its defaults fill what is new.
   */
  readonly schema?: StandardSchema<any, V>
}

export const EVOLUTION_OPTIONS = ['version', 'migrate', 'schema']

/** Of a schema that cannot say what it is: never the same as another. */
export const UNNAMED_SCHEMA = 'unnamed'

export interface StateEvolution {
  readonly version: number
  /** SHA-256 of the schema as a JSON Schema, or `UNNAMED_SCHEMA`; undefined: there is none. */
  readonly schema: string | undefined
  /**
   * A stored value of version `from` as one of this version.
   * @throws {JobFault} saying what `migrate` threw or what the schema found
   */
  convert(stored: unknown, from: number): unknown
}

/** Does something with each part of what is stored per key: with all of it, items or values. */
export type Parts = (stored: unknown, convert: (part: unknown) => unknown) => unknown

export const whole: Parts = (stored, convert) => convert(stored)
export const items: Parts = (stored, convert) => (stored as unknown[]).map((item) => convert(item))
export const mapValues: Parts = (stored, convert) =>
  new Map([...(stored as Map<unknown, unknown>)].map(([key, value]) => [key, convert(value)]))

type Given = { readonly [N in keyof EvolutionOptions<any>]: EvolutionOptions<any>[N] | undefined }

/** @throws {WeirError} CFG_INVALID when the options do not fit each other */
export function evolutionOf(options: EvolutionOptions<any> = {}, parts: Parts = whole): StateEvolution {
  const { version = 1, migrate, schema } = options
  const fault = faultOf({ version, migrate, schema })
  if (fault !== undefined) throw new WeirError('CFG_INVALID', fault)
  return {
    version,
    schema: schema === undefined ? undefined : fingerprint(schema),
    convert: (stored, from) =>
      parts(stored, (part) => {
        const value = from < version && migrate !== undefined ? migrated(migrate, part, from) : part
        return schema === undefined ? value : checked(schema, value)
      }),
  }
}

function faultOf({ version, migrate, schema }: Given): string | undefined {
  if (!Number.isInteger(version) || Number(version) < 1)
    return `The version of a state is a whole number of at least 1, not ${preview(version)}.`
  if (schema !== undefined && !isStandardSchema(schema))
    return `schema of a state is ${preview(schema)}. Expected a schema of zod, valibot, arktype or the like.`
  return migrate === undefined ? faultWithout(version) : faultOfMigrate(migrate, version)
}

function faultWithout(version: unknown): string | undefined {
  if (version === 1) return undefined
  return (
    `Version ${String(version)} of a state has no migrate. ` +
    'Expected migrate: (stored, version) => value, which makes values of earlier versions right.'
  )
}

function faultOfMigrate(migrate: unknown, version: unknown): string | undefined {
  if (typeof migrate !== 'function')
    return `migrate of a state is ${preview(migrate)}, not a function. Expected (stored, version) => value.`
  if (version !== 1) return undefined
  return 'A state with migrate has no version above 1. Give it version: 2 (or one more than it had).'
}

/** A schema with `jsonSchema` (https://standardschema.dev/json-schema) can say what it is. */
function fingerprint(schema: StandardSchema<any>): string {
  try {
    const json = schema['~standard'].jsonSchema?.input({ target: 'draft-2020-12' })
    return json === undefined ? UNNAMED_SCHEMA : sha256Of(Buffer.from(JSON.stringify(json)))
  } catch {
    return UNNAMED_SCHEMA
  }
}

function migrated(migrate: (stored: unknown, version: number) => unknown, part: unknown, from: number) {
  const value = notAPromise(migrate(part, from), 'migrate returned')
  const flaw = value === undefined ? 'undefined' : findNoData(value)
  if (flaw !== undefined)
    throw new JobFault(`migrate returned ${flaw} for ${preview(part)} of version ${from}: expected a value.`)
  return value
}

function checked(schema: StandardSchema<any>, value: unknown): unknown {
  const result = answerOf(schema, value)
  if (result === undefined)
    throw new JobFault('its schema checks asynchronously. Expected a schema that answers at once.')
  if (result.issues === undefined) return result.value
  throw new JobFault(
    `its schema refuses the stored ${preview(value)}: ${issuesText(result.issues)}. ` +
      'Give what is new a default in the schema, or raise version and write migrate.',
  )
}

/** By name of the state: what converts the values of its table. */
export type StateEvolutions = Readonly<
  Record<string, { readonly table: string; readonly evolution: StateEvolution }>
>

/** Stored state that is to be converted before it is used. */
export interface OldState {
  readonly name: string
  /** That it was stored with. */
  readonly version: number
}

/**
 * Converts all values of a state's table. @throws {JobFault} naming the state, the key and what is
 * wrong
 */
export function evolve(
  backend: KeyedStateBackend,
  { name, version }: OldState,
  { table, evolution }: StateEvolutions[string],
): void {
  for (const namespace of [undefined, ...backend.namespaces(table)]) {
    const values: StateTable<unknown, unknown> = backend.table(table, namespace)
    for (const [key, stored] of values.entries())
      try {
        values.put(key, evolution.convert(stored, version))
      } catch (cause) {
        throw faultAt(`state "${name}", key ${preview(key)}`, cause)
      }
  }
}

/** With the stack of what the job's code threw: it has the line. */
function faultAt(place: string, cause: unknown): JobFault {
  const fault = new JobFault(`${place}: ${messageOf(cause)}`, cause)
  if (!(cause instanceof JobFault) && cause instanceof Error && cause.stack !== undefined)
    fault.stack = cause.stack
  return fault
}
