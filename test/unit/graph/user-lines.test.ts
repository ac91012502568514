import { describe, expect, test } from 'vitest'
import { preview } from '#runtime/base/preview'
import { buildGraph } from '#runtime/graph/job-definition'
import { loadJobModule } from '#runtime/graph/load-module'
import { runBounded } from '#test/kit/run-bounded'

const JOB = `import { blackhole, defineJob, generator } from 'weir-stream'
interface Row { readonly n: number }

const refuse = (row: Row): number => {
  throw new Error('no')
}
export default defineJob(({ env }) => {
  env.source('rows', generator({ count: 1, make: (n): Row => ({ n }) }))
    .map('step', refuse).sink('out', blackhole())
})
`
const BUNDLE = `import { blackhole, defineJob, generator } from 'weir-stream';
const refuse = (row) => {
  throw new Error('no');
};
export default defineJob(({ env }) => {
  env.source('rows', generator({ count: 1, make: (n) => ({ n }) }))
    .map('step', refuse).sink('out', blackhole());
});
`
/** Each line comes from a line of src/refuse.ts ten lines below. */
const MAP = {
  version: 3,
  names: [],
  sources: ['src/refuse.ts'],
  mappings: `AAUA${';AACA'.repeat(BUNDLE.split('\n').length - 2)}`,
}
const encoded = Buffer.from(JSON.stringify(MAP)).toString('base64')
const inline = `//# sourceMappingURL=data:application/json;charset=utf-8;base64,${encoded}\n`

const failureOf = (name: string, source: string) =>
  runBounded({ name, source }).then(
    () => undefined,
    (error: { message: string; cause?: Error }) => error,
  )

describe('an error of a job shows the line of its author', () => {
  test.each([
    ['a module by its path', '/home/me/job.ts', JOB, '/home/me/job.ts:5:9'],
    ['a path with blanks', '/home/me/my jobs (old)/job.ts', JOB, '/home/me/my jobs (old)/job.ts:5:9'],
    ['a module in a manifest', 'word-count.ts', JOB, 'word-count.ts:5:9'],
    ['a bundle without a map', '/home/me/job.js', BUNDLE, '/home/me/job.js:3:9'],
    [
      'a bundle with an inline map',
      '/home/me/dist/job.js',
      BUNDLE + inline,
      '/home/me/dist/src/refuse.ts:13:',
    ],
    ['a bundle in a manifest', 'job.js', BUNDLE + inline, 'src/refuse.ts:13:'],
  ])('%s', async (_, name, source, line) => {
    const error = await failureOf(name, source)
    expect(error?.message).toContain(`Operator step, subtask 0 failed: no. At ${line}`)
    expect(error?.cause?.stack).toContain(line)
  })

  test('also of its steps', async () => {
    const graph = buildGraph(await loadJobModule({ name: '/a/job.js', source: BUNDLE + inline }), {})
    expect(graph.nodes.find((node) => node.id === 'step')?.location).toMatch(/^\/a\/src\/refuse\.ts:17:/)
  })
})

describe('preview()', () => {
  test.each<[unknown, string]>([
    [
      { a: 1, b: 'x', c: [1n, undefined], d: new Date(0) },
      '{"a":1,"b":"x","c":[1n,undefined],"d":1970-01-01T00:00:00.000Z}',
    ],
    [new Map([['a', new Set([1])]]), 'Map {"a":Set {1}}'],
    [
      { password: 'x', apiKey: 'y', user: { accessToken: 'z', name: 'n' } },
      '{"password":***,"apiKey":***,"user":{"accessToken":***,"name":"n"}}',
    ],
    [new Map([['secret', 1]]), 'Map {"secret":***}'],
    [new Uint8Array(3), 'Uint8Array of 3 bytes'],
    [
      {
        get a() {
          throw new Error('no')
        },
      },
      'a value that cannot be shown',
    ],
  ])('%#', (value, text) => {
    expect(preview(value)).toBe(text)
  })

  test('is at most 200 characters', () => {
    expect(preview('x'.repeat(5000))).toHaveLength(200)
    expect(preview(Array.from({ length: 10_000 }, (_, i) => `item ${i}`))).toHaveLength(200)
  })
})
