/** Wrong jobs in the thread of a test: they run as they would in a slot, to their first failure. */
import { expect, test } from 'vitest'
import { WeirError } from '#runtime/base/errors'
import { runBounded } from './run-bounded.ts'

/** Stands before the body of each job. */
export const HEAD = `import * as weir from 'weir-stream'
const { defineJob, generator, blackhole, sideOutput, tumbling, sliding } = weir
const { boundedOutOfOrder, monotonous, valueState, listState, mapState } = weir
class Meter { n = 0; add() { this.n++; return this } }
const later = async (value: unknown) => value
const numbers = (env: any) => env.source('numbers', generator({ count: 3, make: (n: number) => n }))
const keyed = (env: any) => numbers(env).keyBy((n: number) => n)
const onTime = (env: any) => numbers(env).assignTimestamps((n: number) => n, monotonous()).keyBy(() => 'k')
const end = (stream: any) => stream.sink('out', blackhole())
const windows = (env: any, of: any = tumbling('1s')) => onTime(env).window('step', of)
const aggregator = (part: any) =>
  ({ create: () => 0, add: () => 1, merge: () => 1, result: () => 1, ...part })
const writer = { write() {}, prepare: async () => 1, commit: async () => 'committed', close() {} }
const sinkOf = (part: any) => ({ ...blackhole(), createWriter: () => ({ ...writer, ...part }) })
const boom = () => { throw new TypeError('boom') }
`
/** The first line of a body. */
export const LINE = HEAD.split('\n').length + 1

async function refusalOf(body: string): Promise<WeirError> {
  const source = `${HEAD}export default defineJob(({ env }: any) => {\n${body}\n})\n`
  const error = await runBounded({ name: 'job.ts', source }).then(
    () => undefined,
    (cause: unknown) => cause,
  )
  if (!(error instanceof WeirError)) throw new Error(`expected a WeirError, got ${String(error)}`)
  return error
}

/** What is wrong, the body of a job, and parts of the sentence that it gets. */
export type Misuse = readonly [what: string, body: string, ...sentence: (string | RegExp)[]]

/** A test of each misuse: it gets its sentence, the error is as expected, and shows no stack. */
export function checkMisuses(
  misuses: readonly Misuse[],
  expected: { readonly code: string; readonly retry: string },
) {
  test.each(misuses.map(([what, body, ...sentence]) => ({ what, body, sentence })))(
    '$what',
    async ({ body, sentence }) => {
      const error = await refusalOf(body)
      for (const part of sentence) {
        if (typeof part === 'string') expect(error.message).toContain(part)
        else expect(error.message).toMatch(part)
      }
      expect(error).toMatchObject(expected)
      expect(error.message).not.toMatch(/\n\s+at /)
    },
  )
}
