import { spawnSync } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { SourceMap } from 'node:module'
import { tmpdir } from 'node:os'
import { PassThrough } from 'node:stream'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { buildJob, buildText } from '#cli/build/build'
import { type Bundle, bundleJob } from '#cli/build/bundle'
import { hasLocalImports } from '#cli/build/local-imports'
import { withoutSources } from '#cli/build/source-map'
import { readLocalJob } from '#cli/local/job-file'
import { showPlan } from '#cli/local/plan'
import { createOutput } from '#cli/output'
import { WeirError } from '#runtime/base/errors'
import { BUNDLE_MARK } from '#runtime/graph/strip-types'
import { loadJobModule } from '#runtime/graph/load-module'
import { runBounded } from '#test/kit/run-bounded'
import { repositoryRoot } from '#tools/repository-root'

/** A job whose one record is `expression`, which may use what `imports` import. */
const jobWith = (imports: string, expression: string): string => `${imports}
import { blackhole, defineJob, generator } from 'weir-stream'
export default defineJob(({ env }) => {
  env.source('n', generator({ count: 1, make: () => 0 }))
    .map('step', () => { throw new Error(\`value \${${expression}}\`) })
    .sink('out', blackhole())
})
`

const projects: string[] = []
afterEach(() => {
  for (const path of projects.splice(0)) rmSync(path, { recursive: true, force: true })
})

/** Writes files by their path below a project of its own. */
function project(files: Readonly<Record<string, string>>): string {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'weir-bundle-')))
  projects.push(root)
  for (const [path, text] of Object.entries({
    'package.json': '{"name":"shop","type":"module"}',
    ...files,
  })) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  return root
}

const installed = (name: string, json: object, files: Readonly<Record<string, string>>) =>
  Object.fromEntries(
    Object.entries({ 'package.json': JSON.stringify({ name, version: '1.2.3', ...json }), ...files }).map(
      ([path, text]) => [`node_modules/${name}/${path}`, text],
    ),
  )

const bundled = (root: string, external: readonly string[] = []): Promise<Bundle> =>
  bundleJob(join(root, 'job.ts'), { outFile: join(root, 'dist/job.mjs'), external })

/** What the job's step throws when the bundle runs. */
async function thrownBy(root: string, { text }: Bundle): Promise<string> {
  const failure = runBounded({ name: join(root, 'dist/job.mjs'), source: text })
  return await failure.then(
    () => 'nothing',
    (error: unknown) => String(error),
  )
}

async function refusal(files: Readonly<Record<string, string>>): Promise<string> {
  const root = project(files)
  const error = await bundled(root).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof WeirError)) throw new Error(`expected a refusal, got ${String(error)}`)
  expect(error.code).toBe('CFG_MODULE')
  return error.message.replaceAll(`${root}/`, '')
}

const CJS = { main: 'index.js' }

describe('a bundle runs what the job imports:', () => {
  const JOB = (specifier: string) => jobWith(`import { value } from '${specifier}'`, 'value')
  test.each<[what: string, files: Readonly<Record<string, string>>]>([
    ['a file', { 'job.ts': JOB('./a.ts'), 'a.ts': 'export const value: number = 7' }],
    ['a file by its later name', { 'job.ts': JOB('./a.js'), 'a.ts': 'export const value: number = 7' }],
    [
      'files in a circle',
      {
        'job.ts': JOB('./a.ts'),
        'a.ts': `import { b } from './b.ts'\nexport const seven = 7\nexport const value = b() + 0`,
        'b.ts': `import { seven } from './a.ts'\nexport const b = (): number => seven`,
      },
    ],
    [
      'types, of a file that has nothing else',
      {
        'job.ts': JOB('./a.ts'),
        'a.ts': `import type { N } from './types.ts'\nexport const value: N = 7`,
        'types.ts': 'export type N = number',
      },
    ],
    [
      'what has to be compiled',
      { 'job.ts': JOB('./a.ts'), 'a.ts': 'enum N { seven = 7 }\nexport const value = N.seven' },
    ],
    ['JSON', { 'job.ts': JOB('./a.json'), 'a.json': '{"value":7}' }],
    [
      'node: modules and what is awaited at the top',
      {
        'job.ts': JOB('./a.ts'),
        'a.ts': `import { sep } from 'node:path'\nexport const value = await Promise.resolve(6 + sep.length)`,
      },
    ],
    [
      'a CommonJS package that requires node: modules',
      {
        'job.ts': JOB('old'),
        ...installed('old', CJS, {
          'index.js': `const { EventEmitter } = require('events')
            const { PassThrough } = require('node:stream')
            exports.value = 7 + new PassThrough().listenerCount('x') + new EventEmitter().listenerCount('x')`,
        }),
      },
    ],
    [
      'a package in TypeScript',
      {
        'job.ts': JOB('lib'),
        ...installed(
          'lib',
          { exports: './a.ts', type: 'module' },
          { 'a.ts': 'export const value: number = 7' },
        ),
      },
    ],
    [
      'one of several files, chosen by name',
      {
        'job.ts': jobWith(
          `const name = 'abc'.charAt(0)\nconst { value } = await import(\`./by/\${name}.ts\`)`,
          'value',
        ),
        'by/a.ts': 'export const value = 7',
        'by/b.ts': 'export const value = 8',
      },
    ],
    [
      'what looks for files beside itself',
      {
        'job.ts': JOB('./a.ts'),
        'a.ts': `import { existsSync } from 'node:fs'
          const there = existsSync(new URL('../package.json', import.meta.url))
          export const value = there ? 7 : 0`,
      },
    ],
  ])('%s', async (_, files) => {
    const root = project(files)
    expect(await thrownBy(root, await bundled(root))).toContain('value 7')
  })

  test('a package with native code stays outside, and is found beside the bundle', async () => {
    const native = installed('native', { ...CJS, gypfile: true }, { 'index.js': 'exports.value = 7' })
    const user = installed('user', CJS, {
      'index.js': `exports.value = require('native').value
        try { require('absent-native') } catch { exports.missing = true }`,
    })
    const imports = `import { value } from 'native'\nimport user from 'user'`
    const root = project({
      'job.ts': jobWith(imports, 'value * user.value * (user.missing ? 1 : 0)'),
      ...native,
      ...user,
    })
    const bundle = await bundled(root)
    expect(bundle.external).toEqual([{ name: 'native', version: '1.2.3' }])
    expect(await thrownBy(root, bundle)).toContain('value 49')
  })

  test('JavaScript that looks like types stays as it is', async () => {
    const expression = `const f = (...all) => all.length
      const [a, b, c] = [1, 2, 3]
      export const value = 5 + f(a<b, c>(b))`
    const root = project({ 'job.ts': JOB('./a.mjs'), 'a.mjs': expression })
    const { text } = await bundled(root)
    const inManifest = runBounded({ name: 'word-count.ts', source: text })
    await expect(inManifest).rejects.toThrow('value 7')
  })
})

describe('a bundle', () => {
  const files = {
    'job.ts': jobWith(`import { fails } from './src/step.ts'\nimport { call } from 'caller'`, 'call(fails)'),
    'src/step.ts': `export function fails(): never {\n  throw new Error('no')\n}\n`,
    ...installed(
      'caller',
      { main: 'index.js' },
      {
        'index.js': 'exports.call = (f) => f()\nexports.refuse = () => { throw new Error("refused") }',
      },
    ),
  }

  test('is the same bytes each time, and in another directory', async () => {
    const root = project(files)
    const first = await bundled(root)
    const again = await bundled(root)
    const elsewhere = join(project({}), 'deeper/copy')
    cpSync(root, elsewhere, { recursive: true })
    const copy = await bundled(elsewhere)
    expect([again.text, copy.text]).toEqual([first.text, first.text])
    expect(first.text).not.toContain(root)
  })

  test('says what is in it', async () => {
    const { modules, packages, external, warnings, sizeBytes, text } = await bundled(project(files))
    expect({ modules, packages, external, warnings }).toEqual({
      modules: 3,
      packages: [{ name: 'caller', version: '1.2.3' }],
      external: [],
      warnings: [],
    })
    expect(sizeBytes).toBe(Buffer.byteLength(text))
  })

  test('errors show the file and line of the author, also when a package called it', async () => {
    const root = project(files)
    expect(await thrownBy(root, await bundled(root))).toContain(`At ${root}/src/step.ts:2:`)
  })

  test('errors of a package show the line of the author that called it', async () => {
    const root = project({
      ...files,
      'job.ts': jobWith(`import { f } from './src/f.ts'`, 'f()'),
      'src/f.ts': `import { refuse } from 'caller'\n\nexport const f = () => refuse()\n`,
    })
    expect(await thrownBy(root, await bundled(root))).toContain(`At ${root}/src/f.ts:3:`)
  })

  test('errors at its evaluation show the file and line of the author', async () => {
    const root = project({ 'job.ts': jobWith(`import './a.ts'`, '1'), 'a.ts': `\n\nthrow new Error('no')\n` })
    const { text } = await bundled(root)
    await expect(loadJobModule({ name: join(root, 'dist/job.mjs'), source: text })).rejects.toThrow(
      `${root}/a.ts:3:7: the module failed when it was evaluated: no`,
    )
  })

  test('too large for a ConfigMap is said to be, with what to do', async () => {
    const bundle = await bundled(project({ 'job.ts': jobWith('', '1') }))
    expect(buildText('job.mjs', bundle)).toBe(`job.mjs: ${bundle.sizeBytes} B with its source map, 1 module`)
    expect(buildText('job.mjs', { ...bundle, sizeBytes: 2 ** 20 })).toContain('Too large for a ConfigMap')
  })
})

describe('refused with file and line:', () => {
  const job = (text: string) => ({ 'job.ts': `${text}\nexport default 1\n` })
  test.each<[string, Readonly<Record<string, string>>, RegExp]>([
    ['a file that is not there', job(`\nimport './a.ts'`), /^job\.ts:2:8 .*there is no file ".\/a\.ts"/],
    [
      'a package that is not installed',
      job(`import x from 'absent'; x()`),
      /^job\.ts:1:15 .*no package absent is installed. Install it: npm install absent/,
    ],
    [
      'a part that a package does not have',
      { ...job(`import x from 'lib/b'; x()`), ...installed('lib', { exports: './a.js' }, { 'a.js': '' }) },
      /^job\.ts:1:15 .*"\.\/b" is not exported by package "lib"/,
    ],
    [
      'a name that a file does not have',
      { ...job(`import { x } from './a.ts'\nx()`), 'a.ts': 'export {}' },
      /^job\.ts:1:10 .*No matching export/,
    ],
    [
      'a mistake of syntax',
      { ...job(`import './a.ts'`), 'a.ts': 'const a = 1\nconst b = = 2\n' },
      /^a\.ts:2:11 `const b = = 2`: Unexpected/,
    ],
    [
      'import() of a variable',
      job('const name = String(1)\nawait import(name)'),
      /^job\.ts:2:7 .*Write the path as a string/,
    ],
    [
      'native code',
      { ...job(`import './a.node'`), 'a.node': '' },
      /^job\.ts:1:8 .*native code cannot be put into a module/,
    ],
    [
      'another kind of file',
      { ...job(`import './a.csv'`), 'a.csv': '' },
      /^job\.ts:1:8 .*\.csv files cannot be imported/,
    ],
    ['no default export', { 'job.ts': 'export const a = 1' }, /^job\.ts: the default export is missing/],
    ['imports that the package.json does not name', job(`import '#a'`), /^job\.ts:1:8 .*#a/],
  ])('%s', async (_, files, message) => {
    expect(await refusal(files)).toMatch(message)
  })
})

describe('withoutSources()', () => {
  test('leaves each place of a kept source where it was, and the others nowhere', () => {
    // Lines 1 to 4: a:1:1 and, from column 5, b:1:1; b:2:1; nothing; a:9:3 with a name.
    const map = {
      version: 3 as const,
      sources: ['b', 'a'],
      names: ['n'],
      mappings: 'ACAA,IDAA;AACA;;ACOEA',
    }
    const before = new SourceMap({ ...map, file: '', sourceRoot: '', sourcesContent: [] })
    const own = withoutSources(map, (source) => source === 'b')
    const after = new SourceMap({
      ...own,
      sources: [...own.sources],
      names: [...own.names],
      file: '',
      sourceRoot: '',
      sourcesContent: [],
    })
    const places = [
      [1, 1],
      [1, 4],
      [1, 5],
      [2, 1],
      [3, 1],
      [4, 1],
    ] as const
    const found = (of: SourceMap) =>
      places.map(([line, column]) => {
        const origin = of.findOrigin(line, column)
        return 'fileName' in origin ? `${origin.fileName}:${origin.lineNumber}:${origin.columnNumber}` : ''
      })
    expect(found(before)).toEqual(['a:1:1', 'a:1:4', 'b:1:1', 'b:2:1', 'b:3:1', 'a:9:3'])
    expect(found(after)).toEqual(['a:1:1', 'a:1:4', '', '', '', 'a:9:3'])
    expect(own.sources).toEqual(['a'])
  })
})

describe('hasLocalImports()', () => {
  test.each<[string, boolean]>([
    [`import { a } from './a.ts'`, true],
    [`export * from "../a.ts"`, true],
    [`import '#lib'`, true],
    [`const a = await import('./a.ts')`, true],
    [`import linked from '@me/linked'`, true],
    [`import { a } from 'weir-stream'\nimport fs from 'node:fs'\nimport path from 'path'`, false],
    [`import installed from 'installed'`, false],
    ['const from = 1', false],
    [`${BUNDLE_MARK}\nconst text = "import './a.ts'"`, false],
  ])('%s: %s', (source, expected) => {
    const root = project({ 'packages/linked/a.ts': '', ...installed('installed', {}, {}) })
    mkdirSync(join(root, 'node_modules/@me'))
    symlinkSync('../../packages/linked', join(root, 'node_modules/@me/linked'))
    expect(hasLocalImports(source, join(root, 'job.ts'))).toBe(expected)
  })
})

describe('weir build, plan and run', () => {
  const files = { 'src/job.ts': jobWith(`import { a } from './a.ts'`, 'a'), 'src/a.ts': 'export const a = 7' }

  test('a job with files of its own is read as its bundle, in its state directory', async () => {
    const root = project(files)
    const { module } = await readLocalJob('src/job.ts', {}, root)
    expect(module).toEqual({
      path: join(root, '.weir/job/job.mjs'),
      bundle: expect.stringContaining('a = 7'),
      warnings: [],
    })
    const chosen = await readLocalJob('src/job.ts', { stateDir: 'kept' }, root)
    expect(chosen.module).toMatchObject({ path: join(root, 'kept/job.mjs') })
  })

  test('what is doubtful is said with file and line', async () => {
    const doubtful = `const same = { a: 1, a: 2 }\nexport const a = same.a`
    const root = project({ ...files, 'src/a.ts': doubtful })
    const said: string[] = []
    const output = createOutput('text', new PassThrough(), process.stderr)
    const heard = { ...output, progress: (line: string) => said.push(line) }
    await showPlan(heard, 'src/job.ts', {}, root)
    expect(said).toEqual([
      expect.stringMatching(new RegExp(`^warning: ${root}/src/a\\.ts:1:22 .*Duplicate key "a"`)),
    ])
  })

  test('a package that loads modules by name is said to, and works while it does not', async () => {
    const root = project({
      'job.ts': jobWith(`import { value } from 'loader'`, 'value'),
      ...installed(
        'loader',
        { main: 'index.mjs' },
        { 'index.mjs': 'export const value = 7\nexport const load = (name) => import(name)' },
      ),
    })
    const bundle = await bundled(root)
    expect(bundle.warnings).toEqual([expect.stringMatching(/loader\/index\.mjs:2:.*--external loader$/)])
    expect(await thrownBy(root, bundle)).toContain('value 7')
  })

  test('a job of one file is read as it is', async () => {
    const root = project({ 'job.ts': jobWith('', '1') })
    expect((await readLocalJob('job.ts', {}, root)).module).toEqual({ path: join(root, 'job.ts') })
  })

  test('writes the file that it names', async () => {
    const root = project(files)
    const result: unknown[] = []
    const output = {
      ...createOutput('json', process.stdout, process.stderr),
      result: (it: unknown) => result.push(it),
    }
    await buildJob(output, 'src/job.ts', {}, root)
    const { text, ...facts } = await bundleJob(join(root, 'src/job.ts'), {
      outFile: join(root, 'dist/job.mjs'),
    })
    expect(result).toEqual([{ file: join(root, 'dist/job.mjs'), ...facts }])
    expect(readFileSync(join(root, 'dist/job.mjs'), 'utf8')).toBe(text)
    await expect(buildJob(output, 'src/job.ts', { out: 'src/job.ts' }, root)).rejects.toThrow(
      'would be replaced',
    )
    await expect(buildJob(output, 'package.json', {}, root)).rejects.toThrow('Expected a job module')
  })

  test('a mistake of the user is one message without a stack', () => {
    const root = project({ 'job.ts': `import './gone.ts'\nexport default 1` })
    const { status, stderr } = spawnSync(
      process.execPath,
      [join(repositoryRoot, 'cli/main.ts'), 'plan', 'job.ts'],
      { cwd: root, encoding: 'utf8' },
    )
    expect(stderr).toBe(`error: ${root}/job.ts:1:8 \`import './gone.ts'\`: there is no file "./gone.ts".\n`)
    expect(status).toBe(2)
  })
})
