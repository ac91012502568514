import { member } from '#runtime/base/member'
import { textArgument } from '#runtime/base/text-argument'
import { WeirError } from '#runtime/base/errors'
import { buildFailure, placed } from './build-problems.ts'
import { Environment } from './environment.ts'
import { GraphBuilder, type LogicalGraph } from './logical-graph.ts'
import {
  answerOf,
  isStandardSchema,
  keyOfStep,
  pathText,
  type InferInput,
  type InferOutput,
  type StandardSchema,
} from '#runtime/base/standard-schema'
import { validateGraph } from './validate.ts'

/**
 * Shared by all copies of the package in a process, so that a job made by one is known to another.
 */
const JOB: unique symbol = Symbol.for('weir-stream.job') as never

export interface JobContext<A> {
  readonly env: Environment
  readonly args: A
}

/**
 * What a job module exports by default; made by `defineJob`. A: the arguments that its function
 * gets; I: those that are given, before the schema.
 */
export interface JobDefinition<A = any, I = any> {
  readonly [JOB]: true
  readonly schema: StandardSchema<I, A> | undefined
  readonly build: (context: JobContext<A>) => void
}

/**
 * Defines a job: `build` only makes the graph, and must make the same one each time: it runs in the
 * JobManager and again in every slot. With `{ args: schema }` (zod, valibot, arktype: any Standard
 * Schema) the arguments are checked before it runs.
 */
export function defineJob(build: (context: JobContext<Readonly<Record<string, any>>>) => void): JobDefinition
export function defineJob<S extends StandardSchema>(
  options: { readonly args: S },
  build: (context: JobContext<InferOutput<S>>) => void,
): JobDefinition<InferOutput<S>, InferInput<S>>
export function defineJob(first: unknown, second?: unknown): JobDefinition {
  const build = typeof first === 'function' ? first : second
  if (!isBuild(build))
    throw new WeirError(
      'CFG_MODULE',
      'defineJob got no function. Expected defineJob(({ env, args }) => { ... }) ' +
        'or defineJob({ args: schema }, ({ env, args }) => { ... }).',
    )
  if (typeof first === 'function') return { [JOB]: true, schema: undefined, build }
  const schema = member(first, 'args')
  if (!isStandardSchema(schema))
    throw new WeirError(
      'CFG_MODULE',
      'The option args of defineJob is not a Standard Schema. ' +
        'Expected a schema of zod, valibot, arktype or another library that has "~standard".',
    )
  return { [JOB]: true, schema, build }
}

const isBuild = (value: unknown): value is JobDefinition['build'] => typeof value === 'function'

export function isJobDefinition(value: unknown): value is JobDefinition {
  return typeof value === 'object' && value !== null && JOB in value
}

/**
 * Checks the arguments, runs the job's function and validates what it built.
 * @throws {WeirError} CFG_INVALID with every issue of the arguments; CFG_GRAPH; CFG_MODULE when the
 *   function throws.
 */
export function buildGraph(definition: JobDefinition, args: Readonly<Record<string, unknown>>): LogicalGraph {
  const missing = new Set<string>()
  const checked =
    definition.schema === undefined ? watchedArgs(args, missing) : checkArgs(definition.schema, args)
  const builder = new GraphBuilder()
  let returned: unknown
  try {
    returned = definition.build({ env: new Environment(builder), args: checked })
  } catch (cause) {
    if (cause instanceof WeirError) throw withMissing(placed(cause), missing)
    throw new WeirError(
      'CFG_MODULE',
      `The job's function failed while building the graph: ${buildFailure(cause)}` + missingText(missing),
      { cause },
    )
  }
  if (returned instanceof Promise) {
    returned.catch(() => undefined)
    throw new WeirError(
      'CFG_GRAPH',
      "The job's function is asynchronous. Expected a function that builds the graph at once: " +
        'it runs in every slot and must give the same graph each time.',
    )
  }
  const graph = builder.graph()
  validateGraph(graph)
  return graph
}

/** Arguments that no schema checks: those that are asked for and were not given are noted. */
function watchedArgs(
  args: Readonly<Record<string, unknown>>,
  missing: Set<string>,
): Readonly<Record<string, unknown>> {
  return new Proxy(args, {
    get(target, name, receiver) {
      const value: unknown = Reflect.get(target, name, receiver)
      if (value === undefined && typeof name === 'string') missing.add(name)
      return value
    },
  })
}

function withMissing(error: WeirError, missing: ReadonlySet<string>): WeirError {
  if (missing.size === 0) return error
  const { code, message, context, retry } = error
  return new WeirError(code, message.replace(/\.$/, '') + missingText(missing), {
    cause: error,
    context,
    retry,
  })
}

function missingText(missing: ReadonlySet<string>): string {
  if (missing.size === 0) return ''
  const names = [...missing]
  return (
    `. It asked for ${names.map((name) => `args.${name}`).join(', ')}, which was not given: ` +
    `${howToGive(names)}.`
  )
}

function checkArgs(schema: StandardSchema, args: unknown): unknown {
  const result = answerOf(schema, args)
  if (result === undefined)
    throw new WeirError(
      'CFG_INVALID',
      'The schema of the arguments checks asynchronously. Expected a schema that answers at once.',
    )
  if (result.issues === undefined) return result.value
  const issues = result.issues.map(
    ({ path = [], message }) =>
      `args${pathText(path)}: ${message}${argumentHint(args, path.map(keyOfStep), message)}`,
  )
  throw new WeirError(
    'CFG_INVALID',
    issues.length === 1
      ? `The job's arguments are not valid: ${issues[0]}`
      : `The job's arguments have ${issues.length} problems:\n- ${issues.join('\n- ')}`,
    {
      context: { issues },
    },
  )
}

/** How to give on the command line what is missing, or is not the text that it looks like. */
function argumentHint(args: unknown, path: readonly PropertyKey[], message: string): string {
  // Members of lists have no name on the command line.
  if (path.length === 0 || !path.every((key) => typeof key === 'string')) return ''
  const name = path.join('.')
  const value = path.reduce<unknown>((at, key) => member(at, key), args)
  if (value === undefined) return ` (${howToGive([name])})`
  const wantsText = isNoText(value) && /\bstring\b/i.test(message)
  return wantsText ? ` (as text: ${textArgument(name, value)})` : ''
}

const isNoText = (value: unknown): boolean => typeof value === 'number' || typeof value === 'boolean'

const howToGive = (names: readonly string[]): string =>
  `pass ${names.map((name) => `--arg ${name}=VALUE`).join(' ')}, or set it under spec.job.args`
