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

/** What the schema answers at once; undefined: it checks asynchronously. */
export function answerOf<T>(schema: StandardSchema<any, T>, value: unknown): StandardResult<T> | undefined {
  const answer = schema['~standard'].validate(value)
  if (!(answer instanceof Promise)) return answer
  // Nobody waits for it.
  answer.catch(() => undefined)
  return undefined
}

type PathStep = PropertyKey | { readonly key: PropertyKey }

export const keyOfStep = (step: PathStep): PropertyKey => (typeof step === 'object' ? step.key : step)

/** `.a[0]`. */
export const pathText = (path: StandardIssue['path']): string =>
  (path ?? [])
    .map(keyOfStep)
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
    .join('')

/** `.price: expected number; .at: ...`. */
export const issuesText = (issues: readonly StandardIssue[]): string =>
  issues.map(({ path, message }) => [pathText(path), message].filter((t) => t !== '').join(': ')).join('; ')
