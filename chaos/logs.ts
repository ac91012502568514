import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What no log may hold, whatever happens around the process. */
const DEFECTS: readonly RegExp[] = [
  /"code":\s*"BUG"/,
  /Invariant broken/,
  /unhandled rejection/,
  // Node says so below the stack of an exception that nobody caught.
  /^Node\.js v\d/,
]
const MOST = 5
const LONGEST = 600

/** Lines of the logs in `directory` that tell of a defect, with the name of the log. */
export function defectsIn(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith('.log'))
    .flatMap((name) => {
      const lines = readFileSync(join(directory, name), 'utf8').split('\n')
      const found = lines.flatMap((line, index) =>
        DEFECTS.some((pattern) => pattern.test(line)) ? [around(lines, index)] : [],
      )
      return found.slice(0, MOST).map((text) => `${join(directory, name)}: ${text}`)
    })
}

const around = (lines: readonly string[], index: number): string =>
  (lines[index]?.startsWith('Node.js v') === true
    ? lines.slice(Math.max(0, index - 12), index)
    : [lines[index]]
  )
    .join('\n')
    .slice(0, LONGEST)
