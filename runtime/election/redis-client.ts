import { Redis, type RedisOptions } from 'ioredis'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { messageOf, systemCode, WeirError } from '#runtime/base/errors'
import type { RedisConfig } from '#runtime/contract/process-config'

type ClientOptions = Omit<RedisOptions, 'replyMapping'>

/** Where to connect; `config.url` without credentials. @throws {WeirError} CFG_INVALID */
export function parseRedisUrl(url: string): {
  readonly host: string
  readonly port: number
  readonly db: number
  readonly tls: boolean
} {
  const expected =
    'Expected redis://host:port or rediss://host:port, optionally /<database>, with credentials in files.'
  let parsed: URL
  try {
    parsed = new URL(url)
  } catch (error) {
    throw new WeirError(
      'CFG_INVALID',
      `Not a Redis URL: ${JSON.stringify(url.replace(/\/\/.*@/, '//[redacted]@'))}. ${expected}`,
      {
        cause: error,
      },
    )
  }
  const db = parsed.pathname.replace(/^\//, '')
  // The URL itself may hold a secret here: it is not repeated.
  if (parsed.username !== '' || parsed.password !== '')
    throw new WeirError('CFG_INVALID', `The Redis URL of ${parsed.hostname} holds credentials. ${expected}`)
  if (
    (parsed.protocol !== 'redis:' && parsed.protocol !== 'rediss:') ||
    parsed.hostname === '' ||
    !/^[0-9]*$/.test(db)
  )
    throw new WeirError(
      'CFG_INVALID',
      `Not a Redis URL that Weir can use: ${JSON.stringify(url)}. ${expected}`,
    )
  const host = parsed.hostname.replace(/^\[|\]$/g, '')
  return {
    host,
    port: parsed.port === '' ? 6379 : Number(parsed.port),
    db: db === '' ? 0 : Number(db),
    tls: parsed.protocol === 'rediss:',
  }
}

/**
 * A connection for commands that must fail fast: nothing is queued while disconnected, nothing is
 * sent twice, a command has `timeoutMs`. Reconnects for ever; credentials are read from their files
 * again before every try, so that a rotation needs no restart. Does not connect before `connect()`.
 */
export function createRedisClient(config: RedisConfig, timeoutMs: number, more: ClientOptions = {}): Redis {
  const { host, port, db, tls } = parseRedisUrl(config.url)
  const options: ClientOptions = {
    host,
    port,
    db,
    ...(tls
      ? {
          tls: {
            servername: host,
            ...(config.caFile === undefined ? {} : { ca: [...rootCertificates, readCa(config.caFile)] }),
          },
        }
      : {}),
    ...readCredentials(config.credentialsDir),
    lazyConnect: true,
    connectTimeout: timeoutMs,
    commandTimeout: timeoutMs,
    keepAlive: timeoutMs,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (tries: number) => {
      try {
        Object.assign(redis.options, readCredentials(config.credentialsDir))
      } catch {
        // The files are being replaced: this try uses the old ones.
      }
      return Math.min(25 * tries, timeoutMs / 2)
    },
    ...more,
  }
  const redis = new Redis(options)
  return redis
}

function readCredentials(directory: string | undefined): { username?: string; password?: string } {
  if (directory === undefined) return {}
  const read = (name: string): string | undefined => {
    try {
      return readFileSync(join(directory, name), 'utf8').trim()
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined
      throw new WeirError(
        'CFG_INVALID',
        `Cannot read the Redis credential ${join(directory, name)}: ${messageOf(error)}.`,
        {
          cause: error,
        },
      )
    }
  }
  const username = read('username')
  const password = read('password')
  if (password === undefined)
    throw new WeirError(
      'CFG_INVALID',
      `Redis credentials directory ${directory} has no file "password". ` +
        'Expected a file "password" and, optionally, a file "username".',
    )
  return { password, ...(username === undefined || username === '' ? {} : { username }) }
}

function readCa(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new WeirError(
      'CFG_INVALID',
      `Cannot read the CA certificate ${file} for Redis: ${messageOf(error)}. Expected a PEM file.`,
      {
        cause: error,
      },
    )
  }
}
