import { refuseUnknownOptions } from '#runtime/base/known-options'
import type { Sink, SinkWriter } from '#runtime/connectors/sink'

export interface PrintOptions {
  /** Stands before each line. */
  readonly prefix?: string
}

/**
 * Writes each record as a line to standard output: strings as they are, everything else as JSON.
 * What a restart repeats is printed again.
 */
export function print<T>(options: PrintOptions = {}): Sink<T, never> {
  refuseUnknownOptions('print', options, ['prefix'])
  const prefix = options.prefix ?? ''
  return {
    description: 'print',
    guarantee: 'at-least-once',
    createWriter(): SinkWriter<T, never> {
      let lines = ''
      const flush = () => {
        if (lines === '') return
        process.stdout.write(lines)
        lines = ''
      }
      return {
        write(value) {
          lines += `${prefix}${typeof value === 'string' ? value : JSON.stringify(value)}\n`
        },
        flush,
        prepare() {
          flush()
          return Promise.resolve(undefined)
        },
        commit: () => Promise.resolve('committed'),
        close: flush,
      }
    },
  }
}
