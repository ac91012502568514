import { isBuiltin, registerHooks, type ResolveHookContext } from 'node:module'
import { dirname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { WeirError, messageOf } from '#runtime/base/errors'
import { packageName } from '#runtime/base/package-name'
import { registerUserSource, userLocation, userModuleUrl } from '#runtime/base/user-source'
import * as api from './api.ts'
import { importAdvice, placed } from './build-problems.ts'
import { isJobDefinition, type JobDefinition } from './job-definition.ts'
import { atLine, lineOf, syntaxErrorLocation } from './module-diagnostics.ts'
import { stripTypes } from './strip-types.ts'

/**
 * A job module as text. `name` is its path as the user knows it: it stands in messages and stacks,
 * and bare packages are looked up beside it first.
 */
export interface JobModule {
  readonly name: string
  readonly source: string
}

const API_URL = 'weir-api:'
/**
 * Where the module behind API_URL finds this copy of the package, so that job and runtime share one
 * of each class.
 */
const API_GLOBAL = 'weir-stream.api'

/** Modules being loaded or loaded in this thread, by their in-memory URL. */
const modules = new Map<string, JobModule>()
let hooks: object | undefined

/**
 * Evaluates a job module and returns its default export. TypeScript is stripped, `weir-stream` is
 * this package. May be called repeatedly; each call evaluates anew.
 * @throws {WeirError} CFG_MODULE with the user's line: syntax, imports, evaluation, default export.
 */
export async function loadJobModule(module: JobModule): Promise<JobDefinition> {
  const javascript = stripTypes(module)
  registerUserSource(module.name, module.source)
  hooks ??= install()
  const url = userModuleUrl(module.name, modules.size + 1)
  modules.set(url, { ...module, source: `${javascript}\n//# sourceURL=${module.name}` })
  let exported: { readonly default?: unknown }
  try {
    exported = await evaluate(url)
  } catch (cause) {
    throw evaluationError(module, javascript, cause)
  } finally {
    modules.set(url, { name: module.name, source: '' })
  }
  if (isJobDefinition(exported.default)) return exported.default
  const found = exported.default === undefined ? 'missing' : 'not a job'
  throw new WeirError(
    'CFG_MODULE',
    `${module.name}: the default export is ${found}. ` +
      'Expected: export default defineJob(({ env, args }) => { ... }).',
  )
}

/**
 * Through a data: URL, because that is what every loader, also that of test runners and bundlers,
 * hands to Node as it is.
 */
async function evaluate(url: string): Promise<{ readonly default?: unknown }> {
  const shim = `import * as job from ${JSON.stringify(url)}; export { job }`
  const loaded = (await import(/* @vite-ignore */ `data:text/javascript,${encodeURIComponent(shim)}`)) as {
    readonly job: { readonly default?: unknown }
  }
  return loaded.job
}

function install(): object {
  Object.defineProperty(globalThis, Symbol.for(API_GLOBAL), { value: api, configurable: true })
  return registerHooks({
    resolve(specifier, context, next) {
      if (modules.has(specifier)) return { url: specifier, format: 'module', shortCircuit: true }
      if (specifier === 'weir-stream') return { url: API_URL, format: 'module', shortCircuit: true }
      const parent = context.parentURL === undefined ? undefined : modules.get(context.parentURL)
      if (parent === undefined) return next(specifier, context)
      return {
        ...resolveImport(specifier, parent, (from) =>
          next(specifier, { ...context, parentURL: from } as ResolveHookContext),
        ),
        shortCircuit: true,
      }
    },
    load(url, context, next) {
      if (url === API_URL) return { format: 'module', source: apiSource(), shortCircuit: true }
      const module = modules.get(url)
      return module === undefined
        ? next(url, context)
        : { format: 'module', source: module.source, shortCircuit: true }
    },
  })
}

/** The package's exports by name, bound to the copy that runs. */
function apiSource(): string {
  const names = Object.keys(api).filter((name) => name !== 'default')
  const global = `globalThis[Symbol.for(${JSON.stringify(API_GLOBAL)})]`
  return `export const { ${names.join(', ')} } = ${global}\n`
}

/**
 * `node:` modules and packages, looked up beside the module, then in the working directory, then
 * beside Weir.
 */
function resolveImport<R>(specifier: string, module: JobModule, resolveFrom: (parentUrl: string) => R): R {
  if (isBuiltin(specifier)) return resolveFrom(import.meta.url)
  if (/^(\.|\/|file:)/.test(specifier))
    throw importError(
      module,
      specifier,
      'a job is sent to its slots as one file. ' +
        'Make one of all its files by: weir build job.ts -o dist/job.mjs ' +
        '(weir run and weir plan do it unasked)',
    )
  if (/^[a-z][a-z0-9+.-]*:/i.test(specifier))
    throw importError(module, specifier, 'expected "weir-stream", a node: module or an installed package')
  const directory = dirname(resolve(module.name))
  let first: unknown
  for (const from of [directory, process.cwd()]
    .map((d) => pathToFileURL(`${d}/job.mjs`).href)
    .concat(import.meta.url)) {
    try {
      return resolveFrom(from)
    } catch (error) {
      first ??= error
    }
  }
  const known = specifier.startsWith('weir-stream/')
    ? `this version of weir-stream has no such part`
    : `no such package is installed beside the module, in ${process.cwd()} or beside Weir. ` +
      `Install it there (npm install ${packageName(specifier)}), or bundle it into the job's file`
  throw importError(module, specifier, known, first)
}

function importError(module: JobModule, specifier: string, why: string, cause?: unknown): WeirError {
  const line = lineOf(
    module.source,
    new RegExp(`['"]${specifier.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')}['"]`),
  )
  const place = line === undefined ? module.name : `${module.name}:${line}`
  return new WeirError('CFG_MODULE', `${place}: cannot import ${JSON.stringify(specifier)}: ${why}.`, {
    cause,
  })
}

function evaluationError(module: JobModule, javascript: string, cause: unknown): WeirError {
  if (cause instanceof WeirError) return placed(cause)
  if (cause instanceof SyntaxError) {
    const location = syntaxErrorLocation(module.name, javascript, cause)
    const text = `${atLine(module, location)}: ${cause.message}${exportAdvice(cause.message)}`
    return new WeirError('CFG_MODULE', text, { cause })
  }
  const thrownAt = cause instanceof Error ? userLocation(cause.stack) : undefined
  const advice = importAdvice(cause)
  const place = evaluationPlace(module, thrownAt)
  const text = `${place}: the module failed when it was evaluated: ${messageOf(cause)}`
  return new WeirError('CFG_MODULE', advice === undefined ? text : `${text}. ${advice}`, { cause })
}

/** Of an import of a name that 'weir-stream' does not have: what it has. */
function exportAdvice(message: string): string {
  if (!message.startsWith("The requested module 'weir-stream' does not provide an export named")) return ''
  const names = Object.keys(api).filter((name) => name !== 'default')
  return `. It has ${names.toSorted().join(', ')}. A type is imported by: import type { ... }`
}

/** With the line's text, except for a file that a bundle was made from. */
function evaluationPlace(module: JobModule, location: string | undefined): string {
  if (location === undefined || !location.startsWith(`${module.name}:`)) return location ?? module.name
  const [line, column] = location
    .slice(module.name.length + 1)
    .split(':')
    .map(Number)
  return atLine(module, line === undefined ? undefined : { line, column })
}
