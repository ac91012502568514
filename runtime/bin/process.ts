import { readFile } from 'node:fs/promises'
import * as z from 'zod'
import { WeirError, messageOf } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'

/**
 * Reads the JSON file that WEIR_CONFIG names. `$(NAME)` in a text stands for the environment
 * variable, so that one file serves every pod of a set.
 * @throws {WeirError} CFG_INVALID with all problems at once.
 */
export async function readConfig<T>(schema: z.ZodType<T>): Promise<T> {
  const file = process.env.WEIR_CONFIG
  if (file === undefined)
    throw new WeirError(
      'CFG_INVALID',
      'WEIR_CONFIG is not set. It names the JSON file with the configuration of this process.',
    )
  let json: unknown
  try {
    json = JSON.parse(await readFile(file, 'utf8'), (_key, value: unknown) =>
      typeof value === 'string' ? expand(value) : value,
    )
  } catch (cause) {
    if (cause instanceof WeirError) throw cause
    throw new WeirError('CFG_INVALID', `Cannot read the configuration ${file}: ${messageOf(cause)}`, {
      cause,
    })
  }
  const result = schema.safeParse(json)
  if (!result.success)
    throw new WeirError(
      'CFG_INVALID',
      `The configuration ${file} is not valid:\n${z.prettifyError(result.error)}`,
    )
  return result.data
}

function expand(text: string): string {
  return text.replace(/\$\(([A-Z_][A-Z0-9_]*)\)/g, (_all, name: string) => {
    const value = process.env[name]
    if (value === undefined)
      throw new WeirError(
        'CFG_INVALID',
        `The configuration refers to the environment variable ${name}, which is not set`,
      )
    return value
  })
}

/**
 * Runs a process's main function: a problem of the configuration ends it with code 2 and one
 * sentence, anything else with code 1.
 */
export function runProcess(name: string, main: () => Promise<void>): void {
  // A defect: the process ends with the place named, and its successor takes over from the log.
  const die = (what: string) => (reason: unknown) => {
    process.stderr.write(`${name}: ${what}, a defect in Weir: ${stackOf(reason)}\n`)
    process.exit(1)
  }
  process.on('uncaughtException', die('uncaught exception'))
  process.on('unhandledRejection', die('unhandled rejection'))
  main().catch((error: unknown) => {
    if (error instanceof WeirError && error.retry === 'never' && error.code !== 'BUG') {
      process.stderr.write(`${name}: ${error.message}\n`)
      process.exit(2)
    }
    process.stderr.write(`${name}: ${stackOf(error)}\n`)
    process.exit(1)
  })
}

const stackOf = (error: unknown): string =>
  error instanceof Error ? (error.stack ?? error.message) : String(error)

/** `stop` runs once, on the first SIGTERM or SIGINT; a second signal ends the process at once. */
export function onStopSignal(logger: Logger, stop: (signal: string) => Promise<void>): void {
  let stopping = false
  const handle = (signal: string) => {
    if (stopping) process.exit(130)
    stopping = true
    logger.info({ signal }, 'stopping')
    stop(signal).then(
      () => process.exit(0),
      (error: unknown) => {
        logger.error({ err: error }, 'stop failed')
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', handle)
  process.on('SIGINT', handle)
}
