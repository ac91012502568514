import { isBuiltin } from 'node:module'
import { dirname } from 'node:path'
import { BUNDLE_MARK } from '#runtime/graph/strip-types'
import { packageName } from '#runtime/base/package-name'
import { isLinked } from './packages.ts'

const SPECIFIER = /\b(?:from|import|require)\s*\(?\s*(['"])([^'"\n]+)\1/g

/**
 * Whether a module needs other files of its author's: relative ones, `#` imports of its package, or
 * packages that are linked from beside it. Read off the text, without parsing: what looks like an
 * import in a comment counts, and costs no more than a bundle of one file. A bundle needs none.
 */
export function hasLocalImports(source: string, path: string): boolean {
  if (source.startsWith(BUNDLE_MARK)) return false
  return [...source.matchAll(SPECIFIER)].some(([, , specifier = '']) => isLocal(specifier, dirname(path)))
}

function isLocal(specifier: string, directory: string): boolean {
  if (/^(\.|\/|#|file:)/.test(specifier)) return true
  const name = packageName(specifier)
  if (isBuiltin(specifier) || name === 'weir-stream' || specifier.includes(':')) return false
  return isLinked(name, directory)
}
