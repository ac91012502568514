/**
 * Who may import whom, types included: a type that is imported upward is a room without a door of
 * its own. Ranks go downward only; folders in one row do not import each other. A circle is cut by
 * a narrow port or by moving what both need, never by a lazy import.
 */
import { describe, expect, test } from 'vitest'
import { type Import, parseSource, type SourceFile, sourceFiles } from '#tools/source-file'

const RUNTIME_RANKS = [
  ['base'],
  ['contract'],
  ['element'],
  ['time'],
  ['state', 'storage'],
  ['operators', 'connectors'],
  ['graph'],
  ['commit-log', 'election'],
  ['checkpoint', 'restore'],
  ['task', 'net'],
  ['task-manager', 'job-manager'],
  ['bin'],
]
const OPERATOR_RANKS = [
  ['api'],
  ['config'],
  ['resources', 'kube'],
  ['controller', 'job-managers'],
  ['stream-job', 'savepoint', 'cluster-identity', 'watches'],
  ['server'],
  ['operator'],
  ['main'],
]

/** Row neighbours that may import each other in this one direction. */
const NEIGHBOURS = new Set([
  'runtime/state -> runtime/storage',
  'runtime/operators -> runtime/connectors',
  'runtime/task -> runtime/net',
  'operator/kube -> operator/resources',
])
/** Files directly in a ranked folder: the public surface, above everything but the entries. */
const SURFACE = /^runtime\/(index|internal)\.ts$/

const files = sourceFiles(['runtime', 'operator', 'cli', 'sim'])

describe('architecture', () => {
  test('runtime ranks are imported downward only', () => {
    expect(violations(inside('runtime'), (file, it) => upward('runtime', RUNTIME_RANKS, file, it))).toEqual(
      [],
    )
  })
  test('operator ranks are imported downward only', () => {
    expect(
      violations(inside('operator'), (file, it) => upward('operator', OPERATOR_RANKS, file, it)),
    ).toEqual([])
  })
  test('every folder of runtime and operator has a rank', () => {
    const runtime = new Set([...RUNTIME_RANKS.flat(), 'testing'])
    const operator = new Set(OPERATOR_RANKS.flat())
    const unknown = [
      ...inside('runtime').filter((file) => !SURFACE.test(file.path) && !runtime.has(folderOf(file.path))),
      ...inside('operator').filter((file) => !operator.has(folderOf(file.path))),
    ]
    expect(unknown.map((file) => file.path)).toEqual([])
  })
  test('nothing in the runtime imports operator, cli, sim, test, tools or scripts', () => {
    expect(
      violations(inside('runtime'), (_, it) =>
        /^(operator|cli|sim|test|tools|scripts|bench|examples)\//.test(it.path ?? ''),
      ),
    ).toEqual([])
  })
  test('the operator sees the runtime through contract and base', () => {
    const allowed = /^runtime\/(contract|base)\//
    expect(
      violations(
        inside('operator'),
        (_, it) => it.path?.startsWith('runtime/') === true && !allowed.test(it.path),
      ),
    ).toEqual([])
  })
  test('the operator imports neither cli nor sim nor test', () => {
    expect(
      violations(inside('operator'), (_, it) => /^(cli|sim|test|tools|scripts)\//.test(it.path ?? '')),
    ).toEqual([])
  })
  test('the command line imports neither tools, scripts, tests nor benchmarks', () => {
    expect(violations(inside('cli'), (_, it) => /^(tools|scripts|test|bench)\//.test(it.path ?? ''))).toEqual(
      [],
    )
  })
  test('commands import what carries them out, never the other way', () => {
    const callees = inside('cli').filter((file) => /^cli\/(local|cluster|progress)\//.test(file.path))
    expect(violations(callees, (_, it) => it.path?.startsWith('cli/commands/') === true)).toEqual([])
  })
  test('tools import neither scripts, tests nor benchmarks, scripts neither tests nor benchmarks', () => {
    expect([
      ...violations(sourceFiles(['tools']), (_, it) => /^(scripts|test|bench)\//.test(it.path ?? '')),
      ...violations(sourceFiles(['scripts']), (_, it) => /^(test|bench)\//.test(it.path ?? '')),
    ]).toEqual([])
  })
  test('schemas, builders and decisions of the operator do not reach Kubernetes', () => {
    const pure = inside('operator').filter((file) =>
      /^operator\/(api|resources)\/|\/decide\.ts$|\/policies\//.test(file.path),
    )
    expect(
      violations(
        pure,
        (_, it) =>
          it.path?.startsWith('operator/kube/') === true || it.specifier === '@kubernetes/client-node',
      ),
    ).toEqual([])
  })
  test('testing is for tests and tools, bin is started, never imported', () => {
    expect(
      violations(
        inside('runtime'),
        (file, it) =>
          /^runtime\/(testing|bin)\//.test(it.path ?? '') && !/^runtime\/(testing|bin)\//.test(file.path),
      ),
    ).toEqual([])
  })
  test('imports of the same folder are relative, of other folders by #', () => {
    const folderOf = (path: string): string => path.split('/').slice(0, 2).join('/')
    expect(
      violations(
        files,
        (file, it) => it.specifier.startsWith('../') && folderOf(it.path ?? '') !== folderOf(file.path),
      ),
    ).toEqual([])
  })
  test('each foreign library has its place', () => {
    expect(
      violations(
        files,
        (file, it) =>
          !it.typeOnly && LIBRARIES.some(([name, place]) => it.specifier === name && !place.test(file.path)),
      ),
    ).toEqual([])
  })
})

const LIBRARIES: readonly (readonly [name: string, place: RegExp])[] = [
  ['@kubernetes/client-node', /^(operator|cli)\//],
  ['ioredis', /^runtime\/election\//],
  ['@aws-sdk/client-s3', /^runtime\/storage\//],
  // Connectors reach files and buckets through the ports of their context.
  ['node:fs', /^(?!runtime\/connectors\/)/],
  ['node:fs/promises', /^(?!runtime\/connectors\/)/],
  ['fastify', /^(runtime\/job-manager|operator\/server)\//],
  ['commander', /^cli\//],
  ['prom-client', /^(runtime\/job-manager|operator\/server)\//],
  ['pino', /^(runtime\/base\/logger|operator\/main)\.ts$/],
  ['msgpackr', /^runtime\/(element|net|state)\//],
]

/**
 * What reaches out of the process or makes two runs differ, and the files where that is the point.
 */
const EDGES: readonly {
  readonly what: string
  readonly pattern: RegExp
  readonly allowed: readonly RegExp[]
}[] = [
  {
    what: 'process.env',
    pattern: /\bprocess\.env\b/,
    allowed: [/^runtime\/bin\//, /^operator\/(main|config)\.ts$/, /^cli\//, /^sim\/mutants\/main\.ts$/],
  },
  {
    what: 'process.exit',
    pattern: /\bprocess\.exit(Code)?\b(?! *;?['"`])/,
    allowed: [/^runtime\/bin\//, /^operator\/main\.ts$/, /^cli\/main\.ts$/, /^sim\/(mutants\/)?main\.ts$/],
  },
  { what: 'console', pattern: /\bconsole\.\w+\(/, allowed: [/^sim\/(mutants\/)?main\.ts$/] },
  {
    what: 'Date.now',
    pattern: /\bDate\.now\b/,
    allowed: [/^runtime\/base\/clock\.ts$/, /^runtime\/storage\/(file|memory)-store\.ts$/, /^cli\//],
  },
  {
    what: 'Math.random',
    pattern: /\bMath\.random\b/,
    allowed: [
      /^runtime\/bin\//,
      /^runtime\/task-manager\/slot-thread\.ts$/,
      /^runtime\/election\/lease-thread\.ts$/,
      /^operator\/main\.ts$/,
      /^cli\//,
    ],
  },
  {
    what: 'setTimeout',
    pattern: /\bset(Timeout|Interval)\(/,
    allowed: [/^runtime\/base\/clock\.ts$/, /^cli\//, /^sim\/mutants\/main\.ts$/],
  },
]

describe('edges of the process', () => {
  test.each(EDGES)('$what occurs only where it is listed', ({ pattern, allowed }) => {
    const found = files.filter(
      (file) =>
        pattern.test(withoutDefaults(withoutTexts(file.code))) &&
        !allowed.some((place) => place.test(file.path)),
    )
    expect(found.map((file) => file.path)).toEqual([])
  })
})

describe('parseSource()', () => {
  const paths = (text: string) =>
    parseSource('runtime/net/a.ts', text).imports.map((it) => [
      it.path ?? it.specifier,
      it.typeOnly,
      it.dynamic,
    ])
  test('finds imports and re-exports over several lines', () => {
    expect(
      paths("import {\n  a,\n  b,\n} from './b.ts'\nexport * from '#runtime/base/units'\nimport 'pino'"),
    ).toEqual([
      ['runtime/net/b', false, false],
      ['runtime/base/units', false, false],
      ['pino', false, false],
    ])
  })
  test('knows what is erased', () => {
    expect(
      paths(
        "import type { A } from './a.ts'\nexport type { B } from './b.ts'\ntype C = typeof import('./c.ts')",
      ),
    ).toEqual([
      ['runtime/net/a', true, false],
      ['runtime/net/b', true, false],
      ['runtime/net/c', true, true],
    ])
  })
  test('sees what is loaded late', () => {
    expect(paths("const x = await import('#cli/run')")).toEqual([['cli/run', false, true]])
  })
  test('ignores comments but keeps URLs in texts', () => {
    const file = parseSource(
      'a.ts',
      "/* import x from 'y' */\n// process.env\nconst u = 'http://a' // setTimeout(\n",
    )
    expect(file.imports).toEqual([])
    expect(file.code).toContain("'http://a'")
    expect(file.code).not.toMatch(/process|setTimeout/)
  })
})

const inside = (folder: string): SourceFile[] => files.filter((file) => file.path.startsWith(`${folder}/`))

/**
 * `runtime/base/errors` -> `base`; a file at the top stands for itself: `operator/main.ts` ->
 * `main`.
 */
const folderOf = (path: string): string => (path.split('/')[1] ?? '').replace(/\.ts$/, '')

function upward(top: string, ranks: readonly (readonly string[])[], file: SourceFile, it: Import): boolean {
  if (it.path?.startsWith(`${top}/`) !== true || SURFACE.test(file.path)) return false
  const [from, to] = [folderOf(file.path), folderOf(it.path)]
  const rankOf = (folder: string): number => ranks.findIndex((row) => row.includes(folder))
  if (from === to || from === 'testing' || rankOf(from) < 0) return false
  return rankOf(to) >= rankOf(from) && !NEIGHBOURS.has(`${top}/${from} -> ${top}/${to}`)
}

const violations = (
  of: readonly SourceFile[],
  isWrong: (file: SourceFile, it: Import) => boolean,
): string[] =>
  of.flatMap((file) =>
    file.imports.filter((it) => isWrong(file, it)).map((it) => `${file.path} imports ${it.specifier}`),
  )

const withoutTexts = (code: string): string => code.replaceAll(/'(?:[^'\\\n]|\\.)*'/g, "''")
/** `random = Math.random`: a parameter that is passed in, and has the real thing for a default. */
const withoutDefaults = (code: string): string =>
  code.replaceAll(/\b(random|now)(: [^=,]+(=> \w+)?)? = (Math\.random|Date\.now)\b/g, '$1')
