import { WeirError } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'

export interface LogLine {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error'
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

/** A logger of the product whose lines go to `onLine`. */
export function simLogger(
  onLine: (line: LogLine) => void,
  bindings: Readonly<Record<string, unknown>> = {},
): Logger {
  const at =
    (level: LogLine['level']) =>
    (first: unknown, message?: string): void => {
      if (typeof first === 'string') onLine({ level, message: first, fields: bindings })
      else onLine({ level, message: message ?? '', fields: { ...bindings, ...(first as object) } })
    }
  const logger = {
    trace: at('trace'),
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    fatal: at('error'),
    child: (more: object) => simLogger(onLine, { ...bindings, ...more }),
  }
  return logger as unknown as Logger
}

/** Code and message of the error that a line carries, if it carries one. */
export function errorOf({
  fields,
}: LogLine): { readonly code: string; readonly message: string } | undefined {
  const error = fields['err'] ?? fields['error']
  if (error instanceof WeirError) return { code: error.code, message: error.message }
  if (typeof error !== 'object' || error === null) return undefined
  const { code, message } = error as { code?: unknown; message?: unknown }
  return { code: typeof code === 'string' ? code : 'BUG', message: String(message) }
}
