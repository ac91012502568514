import { type Clock, sleep, systemClock } from '#runtime/base/clock'
import { failed } from '#cli/cli-error'

const READ_EVERY_MS = 500

/**
 * Reads an object until `done` says so; `progress` gets each change of what `describe` says.
 * @throws {CliError} after `limitMs`
 */
export async function waitForObject<T>(options: {
  readonly what: string
  readonly read: () => Promise<T>
  readonly done: (object: T) => boolean
  readonly describe: (object: T) => string
  readonly progress: (line: string) => void
  readonly limitMs: number
  readonly clock?: Clock
}): Promise<T> {
  const clock = options.clock ?? systemClock
  const end = clock.monotonic() + options.limitMs
  for (let said = ''; ;) {
    const object = await options.read()
    const line = options.describe(object)
    if (line !== said) options.progress(line)
    said = line
    if (options.done(object)) return object
    if (clock.monotonic() > end) throw tooLong(options, line)
    await sleep(clock, READ_EVERY_MS)
  }
}

function tooLong(
  { what, limitMs }: { readonly what: string; readonly limitMs: number },
  line: string,
): Error {
  const limit = `${Math.round(limitMs / 1000)} s`
  return failed(`${what} took longer than ${limit}; it continues without this command. It says: ${line}`)
}
