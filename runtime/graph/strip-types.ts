import { stripTypeScriptTypes } from 'node:module'
import { WeirError, messageOf, systemCode } from '#runtime/base/errors'
import { atLine } from './module-diagnostics.ts'

/**
 * First line of a bundle, which is JavaScript under whatever name it is stored. What looks like
 * type arguments in JavaScript, `f(a<b, c>(d))`, must not be blanked out.
 */
export const BUNDLE_MARK = '// JavaScript, made by weir build.'

const isJavaScript = ({ name, source }: { readonly name: string; readonly source: string }): boolean =>
  /\.m?js$/.test(name) || source.startsWith(BUNDLE_MARK)

/**
 * TypeScript to JavaScript by blanking out the types, so that every line and column stays where the
 * user wrote it. JavaScript is left as it is.
 * @throws {WeirError} CFG_MODULE with line and column: what does not parse, and what cannot be
 *   blanked out (enum, namespace, parameter property).
 */
export function stripTypes(module: { readonly name: string; readonly source: string }): string {
  if (isJavaScript(module)) return module.source
  try {
    return quietly(() => stripTypeScriptTypes(module.source, { mode: 'strip' }))
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause
    throw new WeirError('CFG_MODULE', `${atLine(module, positionOf(cause))}: ${hint(cause)}`, { cause })
  }
}

/**
 * Node begins the stack with `<name>:<line>`, the line's text, and carets below the columns; the
 * name is empty.
 */
function positionOf(error: SyntaxError) {
  const lines = (error.stack ?? '').split('\n')
  const line = /^:(\d+)$/.exec(lines[0] ?? '')?.[1]
  if (line === undefined) return undefined
  const caret = lines.findIndex((l) => /^\s*\^+\s*$/.test(l))
  const column = lines[caret]?.indexOf('^')
  return { line: Number(line), column: column === undefined ? undefined : column + 1 }
}

function hint(error: SyntaxError): string {
  const message = messageOf(error)
  if (systemCode(error) !== 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX') return message
  return (
    `${message.replace(/ in strip-only mode$/, '')}. Types are removed from a job, not compiled: ` +
    'use a union of strings for an enum, a field for a parameter property, a module for a namespace.'
  )
}

/** Node warns once that the function is experimental; users did not call it. */
function quietly<T>(work: () => T): T {
  const { emitWarning } = process
  process.emitWarning = () => undefined
  try {
    return work()
  } finally {
    process.emitWarning = emitWarning
  }
}
