import { messageOf, systemCode, WeirError } from '#runtime/base/errors'

/** What an S3 error says, by code and HTTP status; never by message. */
export interface S3Failure {
  readonly name: string
  readonly status: number | undefined
}

export function s3Failure(error: unknown): S3Failure {
  const e = (typeof error === 'object' && error !== null ? error : {}) as {
    name?: unknown
    Code?: unknown
    $metadata?: { httpStatusCode?: unknown }
  }
  const status = e.$metadata?.httpStatusCode
  const name = typeof e.Code === 'string' ? e.Code : typeof e.name === 'string' ? e.name : 'Error'
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

/**
 * Turns a failed request for `url` into the error that Weir shows. @param what such as "create".
 */
export function classifyS3Error(error: unknown, what: string, url: string): WeirError {
  if (error instanceof WeirError) return error
  const { name, status } = s3Failure(error)
  const detail = `${name}${status === undefined ? '' : `, HTTP ${status}`}: ${messageOf(error)}`
  const options = { cause: error, context: { url, name, status } }
  if (name === 'NoSuchKey' || (name === 'NotFound' && status === 404))
    return new WeirError('STO_MISSING', `${url} does not exist.`, options)
  if (name === 'ExistingObjectIsDirectory' || name === 'ObjectParentIsFile')
    return new WeirError(
      'STO_CORRUPT',
      `Cannot ${what} ${url}: a file and a directory want the same name (${detail}). Expected a prefix that only Weir writes to.`,
      options,
    )
  if (status === 501 || name === 'NotImplemented')
    return new WeirError(
      'STO_UNSAFE',
      `Cannot ${what} ${url}: the server does not know this request (${detail}). Weir needs conditional create (If-None-Match).`,
      options,
    )
  if (DENIED.has(name) || status === 401 || status === 403)
    return new WeirError(
      'STO_DENIED',
      `Cannot ${what} ${url}: ${detail}. Check bucket, region, credentials and their permissions.`,
      options,
    )
  const system = systemCode(error)
  return new WeirError(
    'STO_UNAVAILABLE',
    `Cannot ${what} ${url}: ${system !== undefined && system !== name ? `${system}, ` : ''}${detail}.`,
    options,
  )
}
