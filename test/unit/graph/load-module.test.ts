import { Worker } from 'node:worker_threads'
import { describe, expect, test } from 'vitest'
import { WeirError } from '#runtime/base/errors'
import { buildGraph } from '#runtime/graph/job-definition'
import { loadJobModule } from '#runtime/graph/load-module'

const load = (source: string, name = 'examples/job.ts') => loadJobModule({ name, source })
const refusal = async (source: string): Promise<WeirError> => {
  const error = await load(source).then(
    () => undefined,
    (e: unknown) => e,
  )
  if (!(error instanceof WeirError)) throw new Error(`expected a WeirError, got ${String(error)}`)
  return error
}

const JOB = `import { defineJob, generator, blackhole } from 'weir-stream'
import { createHash } from 'node:crypto'

interface Row { readonly n: number }
const short = (row: Row): string => createHash('sha256').update(String(row.n)).digest('hex')

export default defineJob(({ env }) => {
  const numbers = env.source('numbers', generator({ count: 3, make: (n): Row => ({ n }) }))
  numbers.map(short).sink('out', blackhole())
})
`

describe('loadJobModule()', () => {
  test('strips types and binds weir-stream to this package', async () => {
    const graph = buildGraph(await load(JOB), {})
    expect(graph.nodes.map((n) => n.id)).toEqual(['numbers.discover', 'numbers', 'map.1', 'out'])
  })

  test('keeps the lines of the user', async () => {
    const graph = buildGraph(await load(JOB), {})
    expect(graph.nodes[3]?.location).toMatch(/^examples\/job\.ts:9:\d+$/)
  })

  test('evaluates anew each time', async () => {
    const source = `import { defineJob } from 'weir-stream'
      let n = 0
      export default defineJob(() => { throw new Error('call ' + ++n) })`
    for (const _ of [1, 2]) {
      const definition = await load(source)
      expect(() => buildGraph(definition, {})).toThrow('call 1')
    }
  })

  test('resolves installed packages', async () => {
    const source = `import * as z from 'zod'
      import { defineJob } from 'weir-stream'
      export default defineJob({ args: z.object({ a: z.string() }) }, () => {})`
    await expect(load(source)).resolves.toBeDefined()
  })

  test.each([
    [
      'an enum',
      'const a: number = 1\nenum Color { Red }\n',
      /^examples\/job\.ts:2:1 `enum Color \{ Red \}`: TypeScript enum is not supported\. .*union/,
    ],
    [
      'a parameter property',
      'class A {\n  constructor(private x: number) {}\n}',
      /^examples\/job\.ts:2:23 .*parameter property/,
    ],
    [
      'text that does not parse',
      'const a = 1\nconst b = = 2\n',
      /^examples\/job\.ts:2:11 `const b = = 2`: Expression expected/,
    ],
    [
      'an early error',
      "import { defineJob } from 'weir-stream'\nconst a = 1\nexport const a = 2\n",
      /^examples\/job\.ts:3:\d+ `export const a = 2`: Identifier 'a' has already been declared/,
    ],
    [
      'a decorator',
      "import { defineJob } from 'weir-stream'\n\n@sealed class B {}\n",
      /^examples\/job\.ts:3:1 `@sealed class B \{\}`/,
    ],
    [
      'a missing name of weir-stream',
      "\nimport { defineJobb } from 'weir-stream'\n",
      /^examples\/job\.ts:2:10 .*defineJobb/,
    ],
    [
      'a relative import',
      "\nimport { x } from './x.ts'\n",
      /^examples\/job\.ts:2: cannot import "\.\/x\.ts": .* weir build/,
    ],
    [
      'a missing package',
      "import x from 'no-such-package-here'\n",
      /^examples\/job\.ts:1: cannot import "no-such-package-here": no such package is installed/,
    ],
    ['an unknown part', "import x from 'weir-stream/nowhere'\n", /^examples\/job\.ts:1: .*no such part/],
    [
      'an error at evaluation',
      "\n\nthrow new TypeError('boo')\n",
      /^examples\/job\.ts:3:7 `throw new TypeError\('boo'\)`: the module failed when it was evaluated: boo/,
    ],
    ['no default export', 'export const a = 1\n', /^examples\/job\.ts: the default export is missing/],
    ['another default export', 'export default 3\n', /^examples\/job\.ts: the default export is not a job/],
    [
      'defineJob without a function',
      "import { defineJob } from 'weir-stream'\nexport default defineJob()\n",
      /defineJob got no function/,
    ],
  ])('refuses %s with the line of the user', async (_, source, message) => {
    const error = await refusal(source)
    expect(error.code).toBe('CFG_MODULE')
    expect(error.message).toMatch(message)
  })
})

describe('in a worker thread', () => {
  test('loads modules as in the main thread', async () => {
    const url = new URL('../../../runtime/graph/load-module.ts', import.meta.url).href
    const code = `import { parentPort } from 'node:worker_threads'
      const { loadJobModule } = await import(${JSON.stringify(url)})
      const definition = await loadJobModule({ name: 'job.ts', source: ${JSON.stringify(JOB)} })
      parentPort.postMessage(typeof definition.build)`
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`))
    await expect(new Promise((done, fail) => worker.once('message', done).once('error', fail))).resolves.toBe(
      'function',
    )
    await worker.terminate()
  })
})
