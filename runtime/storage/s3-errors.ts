import { member, textMember } from '#runtime/base/member'
import { messageOf, systemCode, WeirError, type ErrorCode } from '#runtime/base/errors'

/** What an S3 error says, by code and HTTP status; never by message. */
export interface S3Failure {
  readonly name: string
  readonly status: number | undefined
}

export function s3Failure(error: unknown): S3Failure {
  const status = member(member(error, '$metadata'), 'httpStatusCode')
  const name = textMember(error, 'Code') ?? textMember(error, 'name') ?? 'Error'
  return { name, status: typeof status === 'number' ? status : undefined }
}

const DENIED = new Set([
  'AccessDenied',
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'ExpiredToken',
  'InvalidToken',
  'CredentialsProviderError',
  'AuthorizationHeaderMalformed',
  'PermanentRedirect',
  'RequestTimeTooSkewed',
  'NoSuchBucket',
])

interface Kind {
  readonly code: ErrorCode
  readonly is: (failure: S3Failure) => boolean
  /** `attempt`: such as `create s3://bucket/key`. */
  readonly text: (attempt: string, detail: string) => string
}

/** The first that fits; STO_UNAVAILABLE when none does. */
const KINDS: readonly Kind[] = [
  // versitygw says so for good where the names clash, and in passing where requests for one key
  // overlap: a repeated write, or the removal of its directory.
  {
    code: 'STO_UNAVAILABLE',
    is: ({ name }) => name === 'ExistingObjectIsDirectory' || name === 'ObjectParentIsFile',
    text: (attempt, detail) =>
      `Cannot ${attempt}: a file and a directory want the same name (${detail}). ` +
      'It is tried again; where it stays, the prefix is not one that only Weir writes to.',
  },
  {
    code: 'STO_UNSAFE',
    is: ({ name, status }) => status === 501 || name === 'NotImplemented',
    text: (attempt, detail) =>
      `Cannot ${attempt}: the server does not know this request (${detail}). ` +
      'Weir needs conditional create (If-None-Match).',
  },
  {
    code: 'STO_DENIED',
    is: ({ name, status }) => DENIED.has(name) || status === 401 || status === 403,
    text: (attempt, detail) =>
      `Cannot ${attempt}: ${detail}. Check bucket, region, credentials and their permissions.`,
  },
]

/**
 * Where a list that was cut short goes on; undefined: it is whole. @throws {WeirError}
 * STO_UNAVAILABLE when the server says neither
 */
export function nextPage<T>(
  isTruncated: boolean | undefined,
  next: T | undefined,
  url: string,
): T | undefined {
  if (isTruncated !== true) return undefined
  if (next !== undefined) return next
  throw new WeirError(
    'STO_UNAVAILABLE',
    `Cannot list ${url}: the server cut the list short and does not say where it goes on.`,
    { context: { url } },
  )
}

/**
 * Turns a failed request for `url` into the error that Weir shows. @param what such as "create".
 */
export function classifyS3Error(error: unknown, what: string, url: string): WeirError {
  if (error instanceof WeirError) return error
  const failure = s3Failure(error)
  const { name, status } = failure
  const options = { cause: error, context: { url, name, status } }
  if (name === 'NoSuchKey' || (name === 'NotFound' && status === 404))
    return new WeirError('STO_MISSING', `${url} does not exist.`, options)
  const detail = `${name}${status === undefined ? '' : `, HTTP ${status}`}: ${messageOf(error)}`
  const kind = KINDS.find(({ is }) => is(failure))
  if (kind !== undefined) return new WeirError(kind.code, kind.text(`${what} ${url}`, detail), options)
  const system = systemCode(error)
  const prefix = system === undefined || system === name ? '' : `${system}, `
  return new WeirError('STO_UNAVAILABLE', `Cannot ${what} ${url}: ${prefix}${detail}.`, options)
}
