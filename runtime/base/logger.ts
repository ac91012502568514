import { pino, stdTimeFunctions, type Logger } from 'pino'

export type { Logger }
export type LogLevel = 'Trace' | 'Debug' | 'Info' | 'Warn' | 'Error'

/**
 * The root logger of a process: JSON lines on stdout (fd 1) unless `fd` says otherwise. Built in
 * `bin/` and `main` only.
 */
export function createLogger(component: string, level: LogLevel, fd = 1): Logger {
  return pino(
    {
      level: level.toLowerCase(),
      base: { component },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: {
        paths: ['token', '*.token', 'password', '*.password', '*.secretAccessKey', '*.sessionToken'],
        censor: '[redacted]',
      },
    },
    pino.destination({ fd, sync: true }),
  )
}

/** For pure tests and tools that must stay silent. */
export const silentLogger: Logger = pino({ level: 'silent' })
