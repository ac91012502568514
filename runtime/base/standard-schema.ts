/**
 * The part of https://standardschema.dev (version 1) that Weir needs; zod, valibot, arktype and
 * others implement it.
 */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
    /** Of https://standardschema.dev/json-schema; not every library has it. */
    readonly jsonSchema?:
      | { readonly input: (options: { readonly target: 'draft-2020-12' }) => Record<string, unknown> }
      | undefined
  }
}

export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] }

export interface StandardIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

export type InferOutput<S extends StandardSchema<any, any>> = NonNullable<S['~standard']['types']>['output']

export type InferInput<S extends StandardSchema<any, any>> = NonNullable<S['~standard']['types']>['input']

export function isStandardSchema(value: unknown): value is StandardSchema {
  return (typeof value === 'object' || typeof value === 'function') && value !== null && '~standard' in value
}

/** What a schema makes of a value, or what is wrong with it: one text per issue, with its path. */
export type Checked<T> = { readonly value: T } | { readonly issues: readonly string[] }

/** `name`: what the paths in issues begin with. */
export function checkWith<T>(schema: StandardSchema<any, T>, value: unknown, name: string): Checked<T> {
  const result = schema['~standard'].validate(value)
  if (result instanceof Promise) {
    result.catch(() => undefined)
    return { issues: [`${name}: its schema checks asynchronously; expected one that answers at once`] }
  }
  if (result.issues === undefined) return { value: result.value }
  return {
    issues: result.issues.map(
      ({ path, message }) => `${name}${(path ?? []).map(pathStep).join('')}: ${message}`,
    ),
  }
}

function pathStep(step: PropertyKey | { readonly key: PropertyKey }): string {
  const key = typeof step === 'object' ? step.key : step
  return typeof key === 'number' ? `[${key}]` : `.${String(key)}`
}
