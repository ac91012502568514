import { posix } from 'node:path'
import { WeirError } from '#runtime/base/errors'

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
  if (s3 === null && /^[a-z][a-z0-9+.-]*:\/\//i.test(text) && !text.startsWith('file:///'))
    throw invalid(what, text)
  const bucket = s3?.[1]
  const path = s3 === null ? text.replace(/^file:\/\//, '') : (s3[2] ?? '').replace(/^\/+/, '')
  const segments = path.split('/')
  const globAt = segments.findIndex((s) => /[*?[\]{}]/.test(s))
  const fixed = (globAt === -1 ? segments : segments.slice(0, globAt)).join('/').replace(/\/+$/, '')
  const base = fixed === '' && bucket === undefined ? (path.startsWith('/') ? '/' : '.') : fixed
  return { text: bucket === undefined ? path : text, bucket, base, isGlob: globAt !== -1 }
}

/**
 * Whether `path` (a local path or a key, beginning with the base) is one of the pattern's files.
 */
export function matchesPattern(pattern: FilePattern, path: string): boolean {
  const { base } = pattern
  const inside =
    base === '' || base === '.'
      ? path
      : base === '/'
        ? path.slice(1)
        : path === base
          ? ''
          : path.startsWith(`${base}/`)
            ? path.slice(base.length + 1)
            : undefined
  if (inside === undefined || inside.split('/').some((segment) => segment.startsWith('.'))) return false
  if (!pattern.isGlob) return true
  return posix.matchesGlob(
    path,
    pattern.bucket === undefined
      ? pattern.text.replace(/^(\.\/)+/, '')
      : pattern.text.replace(/^s3:\/\/[^/]+\/+/, ''),
  )
}

function invalid(what: string, text: unknown): WeirError {
  return new WeirError(
    'CFG_GRAPH',
    `${what}: ${JSON.stringify(text) ?? typeof text} is not a path. Expected a file, a directory, or a glob such as "in/**/*.md", local or on S3 ("s3://bucket/prefix/").`,
  )
}
