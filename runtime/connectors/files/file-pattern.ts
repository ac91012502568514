import { posix } from 'node:path'
import { WeirError } from '#runtime/base/errors'
import { preview } from '#runtime/base/preview'
import { textArgument } from '#runtime/base/text-argument'

/**
 * Which files a path means: a file; a directory with everything below it; or a glob (`*`, `**`,
 * `?`, `[...]`, `{a,b}`). Local, or on S3 as `s3://bucket/key`. Files and directories below `base`
 * whose name begins with a dot are never meant: that is where unfinished output lives.
 */
export interface FilePattern {
  /** As the user wrote it. */
  readonly text: string
  /** Undefined: the local file system. */
  readonly bucket: string | undefined
  /**
   * The part before the first glob character, a whole path: file, directory or key, without
   * trailing slash; '' is the bucket, '.' the working directory.
   */
  readonly base: string
  readonly isGlob: boolean
}

/** @throws {WeirError} CFG_GRAPH */
export function parseFilePattern(what: string, text: unknown): FilePattern {
  if (typeof text !== 'string' || text === '') throw invalid(what, text)
  const s3 = /^s3:\/\/([^/]+)(?:\/(.*))?$/s.exec(text)
  if (s3?.[1] !== undefined) {
    const { fixed, isGlob } = fixedPart((s3[2] ?? '').replace(/^\/+/, ''))
    return { text, bucket: s3[1], base: fixed, isGlob }
  }
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text) && !text.startsWith('file:///')) throw invalid(what, text)
  const path = text.replace(/^file:\/\//, '')
  const { fixed, isGlob } = fixedPart(path)
  const root = path.startsWith('/') ? '/' : '.'
  return { text: path, bucket: undefined, base: fixed === '' ? root : fixed, isGlob }
}

/** The path up to its first segment with a glob character, without trailing slash. */
function fixedPart(path: string): { readonly fixed: string; readonly isGlob: boolean } {
  const segments = path.split('/')
  const globAt = segments.findIndex((s) => /[*?[\]{}]/.test(s))
  const fixed = (globAt === -1 ? segments : segments.slice(0, globAt)).join('/').replace(/\/+$/, '')
  return { fixed, isGlob: globAt !== -1 }
}

/**
 * Whether `path` (a local path or a key, beginning with the base) is one of the pattern's files.
 */
export function matchesPattern(pattern: FilePattern, path: string): boolean {
  const inside = insideOf(pattern.base, path)
  if (inside === undefined || inside.split('/').some((segment) => segment.startsWith('.'))) return false
  if (!pattern.isGlob) return true
  return posix.matchesGlob(
    path,
    pattern.bucket === undefined
      ? pattern.text.replace(/^(\.\/)+/, '')
      : pattern.text.replace(/^s3:\/\/[^/]+\/+/, ''),
  )
}

/** What follows the base in a path; undefined: the path does not begin with it. */
function insideOf(base: string, path: string): string | undefined {
  if (base === '' || base === '.') return path
  if (base === '/') return path.slice(1)
  if (path === base) return ''
  return path.startsWith(`${base}/`) ? path.slice(base.length + 1) : undefined
}

function invalid(what: string, text: unknown): WeirError {
  return new WeirError(
    'CFG_GRAPH',
    `${what}: ${shown(text)} is not a path. Expected a file, a directory, or a glob such as ` +
      `"in/**/*.md", local or on S3 ("s3://bucket/prefix/").${hint(text)}`,
  )
}

const shown = (text: unknown): string =>
  typeof text === 'number' || typeof text === 'boolean' ? `${text}, a ${typeof text},` : preview(text)

/** Arguments that read as JSON are no text; and what is written as a URL is no local path. */
function hint(text: unknown): string {
  if (typeof text === 'number' || typeof text === 'boolean')
    return ` An argument that reads as JSON is given as text by ${textArgument('NAME', text)}.`
  const [, scheme] = (typeof text === 'string' && /^(\w+):\/\//.exec(text)) || []
  if (scheme === undefined) return ''
  return ` No connector of Weir speaks ${scheme}://: write your own with simpleSource or transactionalSink.`
}
