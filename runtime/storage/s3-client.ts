import { S3Client, type S3ClientConfig } from './s3-library.ts'
import { readFileSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { Agent } from 'node:https'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { messageOf, systemCode, WeirError } from '#runtime/base/errors'
import type { S3Access } from '#runtime/contract/process-config'

export interface S3ClientOptions {
  /**
   * Tries of the SDK's own retry per request. 1 where a second try could hide what the first one
   * did (conditional creates). Default 3.
   */
  readonly maxAttempts?: number
  readonly maxSockets?: number
}

/**
 * A client for `access`: path style, private CA, and credentials from files that are read again
 * when they change.
 */
export function createS3Client(access: S3Access, options: S3ClientOptions = {}): S3Client {
  const config: S3ClientConfig = {
    region: access.region,
    forcePathStyle: access.forcePathStyle,
    maxAttempts: options.maxAttempts ?? 3,
    requestHandler: {
      connectionTimeout: 5000,
      httpAgent: { keepAlive: true, maxSockets: options.maxSockets ?? 50 },
      httpsAgent: httpsAgent(access.caFile, options.maxSockets ?? 50),
    },
  }
  if (access.endpoint !== undefined) config.endpoint = access.endpoint
  if (access.credentialsDir !== undefined) config.credentials = fileCredentials(access.credentialsDir)
  return new S3Client(config)
}

function httpsAgent(caFile: string | undefined, maxSockets: number): Agent {
  if (caFile === undefined) return new Agent({ keepAlive: true, maxSockets })
  try {
    return new Agent({ keepAlive: true, maxSockets, ca: [...rootCertificates, readFileSync(caFile, 'utf8')] })
  } catch (error) {
    throw new WeirError(
      'CFG_INVALID',
      `Cannot read the CA certificate ${caFile} for S3: ${messageOf(error)}. Expected a PEM file.`,
      {
        cause: error,
      },
    )
  }
}

interface FileCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
  /**
   * Always in the past for the SDK, so that it asks again before every request; this provider
   * answers from memory while the files are unchanged.
   */
  readonly expiration: Date
}

const FILES = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'] as const

function fileCredentials(directory: string): () => Promise<FileCredentials> {
  let known: { readonly version: string; readonly credentials: FileCredentials } | undefined
  return async () => {
    const version = await versionOf(directory)
    if (known?.version === version) return known.credentials
    const credentials = await readCredentials(directory)
    // A rotation during the read may mix old and new files: keep the result only when nothing
    // changed meanwhile.
    if ((await versionOf(directory)) === version) known = { version, credentials }
    return credentials
  }
}

async function versionOf(directory: string): Promise<string> {
  const stats = await Promise.all(FILES.map((name) => stat(join(directory, name)).catch(() => undefined)))
  return stats.map((s) => (s === undefined ? '-' : `${s.ino}:${s.mtimeMs}:${s.size}`)).join(' ')
}

async function readCredentials(directory: string): Promise<FileCredentials> {
  const paths = FILES.map((name) => join(directory, name))
  const read = await Promise.allSettled(paths.map((path) => readFile(path, 'utf8')))
  // All of them are waited for, so that the same files are named whichever read fails first.
  const missing = read.flatMap((it, i) =>
    it.status === 'rejected' && isNeeded(i, it.reason)
      ? [{ path: paths[i], cause: it.reason as unknown }]
      : [],
  )
  const [first] = missing
  if (first !== undefined) {
    const { cause } = first
    throw new WeirError(
      'STO_DENIED',
      `Cannot read the S3 credentials ${missing.map(({ path }) => path).join(' and ')}: ` +
        `${messageOf(cause)}. ` +
        'Expected files AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.',
      { cause },
    )
  }
  const [accessKeyId = '', secretAccessKey = '', sessionToken = ''] = read.map((it) =>
    it.status === 'fulfilled' ? it.value.trim() : '',
  )
  return {
    accessKeyId,
    secretAccessKey,
    ...(sessionToken === '' ? {} : { sessionToken }),
    expiration: new Date(0),
  }
}

/** Temporary credentials have a session token, others none. */
const isNeeded = (file: number, error: unknown): boolean =>
  FILES[file] !== 'AWS_SESSION_TOKEN' || systemCode(error) !== 'ENOENT'
