import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '#tools/servers/eventually'
import { type S3Server, startS3 } from '#tools/servers/s3'
import { type TempDir, tempDir } from '#tools/servers/temp-dir'

const MAIN = fileURLToPath(new URL('../../cli/main.ts', import.meta.url))

/** Ends by itself after `count` records. */
const BOUNDED = `import { blackhole, defineJob, generator } from 'weir-stream'
export default defineJob(({ env, args }) => {
  const make = n => ({ key: 'k' + (n % 10) })
  env.source('numbers', generator({ count: Number(args.count ?? 1000), make, splits: 2 }))
    .keyBy(r => r.key).count('counts').sink('out', blackhole())
})
`
/** Runs until it is stopped. */
const ENDLESS = BOUNDED.replace('count: Number(args.count ?? 1000)', 'rate: 2000')
const THROWING = `import { blackhole, defineJob, generator } from 'weir-stream'
export default defineJob(({ env }) => {
  env.source('numbers', generator({ rate: 1000, make: n => n }))
    .map(n => { if (n === 5) throw new Error('five is not allowed'); return n })
    .sink('out', blackhole())
})
`
const TYPED = `import { blackhole, defineJob, generator } from 'weir-stream'
const problem = { issues: [{ message: 'expected exactly { topic: text }', path: [] }] }
const isTopic = value => typeof value.topic === 'string' && Object.keys(value).length === 1
const schema = {
  '~standard': { version: 1, vendor: 'test', validate: value => isTopic(value) ? { value } : problem },
}
export default defineJob({ args: schema }, ({ env }) => {
  env.source('numbers', generator({ count: 10, make: n => n })).sink('out', blackhole())
})
`

interface Done {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

interface Started {
  readonly process: ChildProcess
  readonly done: Promise<Done>
  output(): string
}

let dir: TempDir
const started: Started[] = []
beforeAll(async () => {
  dir = await tempDir('cli')
  for (const [name, text] of Object.entries({
    bounded: BOUNDED,
    endless: ENDLESS,
    throwing: THROWING,
    typed: TYPED,
  }))
    writeFileSync(join(dir.path, `${name}.ts`), text)
})
afterEach(async () => {
  for (const { process } of started) if (process.exitCode === null) process.kill('SIGKILL')
  await Promise.all(started.splice(0).map(({ done }) => done))
})
afterAll(() => dir.remove())

const start = (...args: readonly string[]): Started => startWith({}, args)

function startWith(env: Readonly<Record<string, string>>, args: readonly string[]): Started {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd: dir.path,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const done = new Promise<Done>((resolve) =>
    child.once('close', (code) => resolve({ code, stdout, stderr })),
  )
  const it = { process: child, done, output: () => stdout + stderr }
  started.push(it)
  return it
}
const weir = (...args: readonly string[]): Promise<Done> => start(...args).done
const json = ({ stdout }: Done): any => JSON.parse(stdout)
const says = (run: Started, text: string | RegExp): Promise<unknown> =>
  eventually(() => (typeof text === 'string' ? run.output().includes(text) : text.test(run.output())), {
    limitMs: 40_000,
    what: `${String(text)} in:\n${run.output()}`,
  })

/** The job of this name has completed that many checkpoints under its leader. */
const completes = (name: string, count: number): Promise<unknown> =>
  eventually(
    async () => {
      const record = JSON.parse(readFileSync(join(dir.path, '.weir', name, 'local.json'), 'utf8'))
      const facts: any = await (await fetch(`${record.rest}/overview`)).json()
      return facts.checkpoint.completed >= count
    },
    { limitMs: 40_000, what: `${count} checkpoints of ${name}` },
  )

describe('weir run of a bounded job', () => {
  test('runs it to the end, tells what happened, and ends with 0', async () => {
    const run = await weir('run', 'bounded.ts', '--arg', 'count=5000', '--task-managers', '1')
    expect(run).toMatchObject({ code: 0 })
    expect(run.stdout).toMatch(
      /bounded finished: 5,000 records read \([\d,]+\/s\), 5,000 written, \d+ checkpoints?, 0 restarts/,
    )
    expect(run.stderr).toMatch(/running: parallelism 2 on 1 TaskManager/)
    expect(run.stderr).not.toMatch(/checkpoint \d+ completed/)
    expect(json(await weir('status', 'bounded', '-o', 'json'))).toMatchObject({
      name: 'bounded',
      state: 'Finished',
    })
    expect(json(await weir('list', '-o', 'json'))).toMatchObject([
      { name: 'bounded', state: 'Finished', run: 1 },
    ])
  })
  test('refuses to run it again, unless it is to start empty', async () => {
    const again = await weir('run', 'bounded.ts', '--task-managers', '1')
    expect(again.code).toBe(1)
    expect(again.stderr).toContain('bounded has finished (run 1)')
    expect(again.stderr).toContain('--fresh')
    const fresh = await weir('run', 'bounded.ts', '--task-managers', '1', '--fresh', '-o', 'json')
    expect(fresh).toMatchObject({ code: 0, stderr: '' })
    expect(json(fresh)).toMatchObject({ name: 'bounded', state: 'Finished', run: 1 })
  })
  test('takes the same manifest as kubectl, with inline source', async () => {
    writeFileSync(
      join(dir.path, 'job.yaml'),
      JSON.stringify({
        apiVersion: 'weir.dev/v1alpha1',
        kind: 'StreamJob',
        metadata: { name: 'from-manifest' },
        spec: {
          job: { inline: BOUNDED, args: { count: 200 } },
          taskManager: { slots: 2 },
          checkpoint: { interval: '1s' },
        },
      }),
    )
    const run = await weir('run', 'job.yaml')
    expect(run).toMatchObject({ code: 0 })
    expect(run.stdout).toContain('from-manifest finished: 200 records read (')
  })
})

describe('mistakes get a sentence and their exit code', () => {
  const stackLine = /^\s+at /m
  test.each<[what: string, args: readonly string[], code: number, message: RegExp]>([
    ['a file that does not exist', ['run', 'nothing.ts'], 2, /There is no file nothing\.ts/],
    ['a file of another kind', ['run', 'notes.txt'], 2, /Cannot tell what notes\.txt is/],
    ['a directory', ['run', '.'], 2, /is not a file/],
    ['a syntax error, with its line', ['run', 'broken.ts'], 2, /broken\.ts:2/],
    ['a module without a job', ['run', 'empty.ts'], 2, /default export is missing/],
    [
      'arguments that the schema refuses',
      ['run', 'typed.ts', '--arg', 'topik=a'],
      2,
      /arguments are not valid: .*expected exactly/,
    ],
    ['an argument without a value', ['run', 'typed.ts', '--arg', 'topic'], 2, /Expected key=value/],
    [
      'an unknown option',
      ['run', 'bounded.ts', '--task-manager', '1'],
      2,
      /unknown option .*\n.*--task-managers/,
    ],
    ['no whole number', ['run', 'bounded.ts', '--slots', 'two'], 2, /Expected a whole number/],
    ['no duration', ['run', 'bounded.ts', '--checkpoint-interval', '5'], 2, /Not a duration/],
    ['a manifest with two mistakes, both named', ['run', 'bad.yaml'], 2, /spec\.job[\s\S]*spec\.paralelism/],
    [
      'a savepoint that does not exist',
      ['plan', 'bounded.ts', '--from', 'no/savepoint'],
      1,
      /Cannot restore from/,
    ],
    [
      'the same, of a run, which starts nothing',
      ['run', 'bounded.ts', '--name', 'nowhere', '--from', 'no/savepoint'],
      2,
      /Cannot restore from .*no\/savepoint: there is no/,
    ],
    [
      'more parallelism than slots',
      ['run', 'bounded.ts', '--parallelism', '9'],
      2,
      /needs 9 slots, .* this run has 4: 2 TaskManagers with 2 slots each\.\n.*--task-managers/,
    ],
    [
      'an argument that the job reads and nobody gave',
      ['run', 'reading.ts', '--arg', 'output=out'],
      2,
      /asked for args\.input, which was not given: pass --arg input=VALUE/,
    ],
    ['a job that does not exist', ['status', 'nobody'], 3, /There is no local job nobody/],
    ['a name that is none', ['status', 'No_Name'], 2, /Not a job name/],
    [
      'a kubeconfig that does not exist',
      ['status', 'stj/a', '--kubeconfig', 'none'],
      2,
      /Cannot read the kubeconfig/,
    ],
    ['an unknown command', ['rnu', 'job.ts'], 2, /unknown command 'rnu'[\s\S]*run/],
  ])('%s', async (_, args, code, message) => {
    writeFileSync(
      join(dir.path, 'broken.ts'),
      `import { defineJob } from 'weir-stream'\nexport default defineJob(({ env }) => {{)\n`,
    )
    writeFileSync(
      join(dir.path, 'reading.ts'),
      `import { defineJob, files } from 'weir-stream'\nexport default defineJob(({ env, args }) => {\n` +
        `  env.source('lines', files.lines(args.input)).sink('out', files.jsonl(args.output))\n})\n`,
    )
    writeFileSync(join(dir.path, 'empty.ts'), 'export const a = 1\n')
    writeFileSync(join(dir.path, 'notes.txt'), 'text\n')
    writeFileSync(
      join(dir.path, 'bad.yaml'),
      'apiVersion: weir.dev/v1alpha1\nkind: StreamJob\nmetadata: {name: bad}\n' +
        'spec:\n  job: {inline: a, module: b}\n  paralelism: 2\n',
    )
    const done = await weir(...args)
    expect(done.stderr).toMatch(message)
    expect(done.stderr).not.toMatch(stackLine)
    expect(done.code).toBe(code)
  })
  test('errors are JSON when the output is', async () => {
    const { code, stderr } = await weir('status', 'nobody', '-o', 'json')
    expect(code).toBe(3)
    expect(JSON.parse(stderr)).toMatchObject({
      error: { exitCode: 3, message: expect.stringContaining('no local job nobody') },
    })
  })
  test('an exception in the job ends it with 1, the message, and the line of the job', async () => {
    const { code, stderr } = await weir('run', 'throwing.ts', '--task-managers', '1')
    expect(code).toBe(1)
    expect(stderr).toContain('five is not allowed')
    expect(stderr).toMatch(/throwing\.ts:4/)
    expect(stderr).toMatch(/Logs: .*\.weir\/throwing\/logs/)
    const later = await weir('status', 'throwing')
    expect(later.stdout).toMatch(/state: +failed\nerror: +Operator .*five is not allowed/)
  })
  test('a record that cannot be read leaves the other jobs in the list', async () => {
    mkdirSync(join(dir.path, '.weir/damaged'))
    writeFileSync(join(dir.path, '.weir/damaged/local.json'), '{')
    const list = await weir('list')
    rmSync(join(dir.path, '.weir/damaged'), { recursive: true })
    expect(list.code).toBe(0)
    expect(list.stdout).toMatch(/^throwing +Failed/m)
    expect(list.stdout).toMatch(/^damaged +Broken/m)
    expect(list.stderr).toMatch(/damaged: .*\.weir\/damaged\/local\.json is not the record of a local job/)
  })
})

describe('what a job prints', () => {
  test('comes out of weir run', async () => {
    writeFileSync(
      join(dir.path, 'printing.ts'),
      `import { defineJob, generator, print } from 'weir-stream'
export default defineJob(({ env }) => {
  env.source('numbers', generator({ count: 3, make: n => n })).sink('out', print({ prefix: 'n = ' }))
})
`,
    )
    const run = await weir('run', 'printing.ts', '--task-managers', '1')
    expect(run.code).toBe(0)
    expect(run.stdout).toMatch(/n = 0\nn = 1\nn = 2\n/)
  })
})

describe('code that never returns', () => {
  test('is named with its line, while a stop waits for it, and a second Ctrl-C ends the run', async () => {
    writeFileSync(
      join(dir.path, 'spinning.ts'),
      `import { blackhole, defineJob, generator } from 'weir-stream'
let x = 1
const spin = () => { for (;;) x = (x * 31 + 7) % 1000003 }
export default defineJob(({ env }) => {
  env.source('numbers', generator({ rate: 100, make: n => n }))
    .map('spin', n => { if (n > 50) spin(); return n })
    .sink('out', blackhole())
})
`,
    )
    const run = start('run', 'spinning.ts', '--task-managers', '1', '--slots', '1')
    await says(
      run,
      /operator .*spin.*, subtask 0, on tm-1 does not come back from a call; it is in .*spinning\.ts:3/,
    )
    const status = await weir('status', 'spinning')
    expect(status.stdout).toMatch(/waiting: +\d+s operator .*spin/)
    run.process.kill('SIGINT')
    await says(run, 'stopping with a checkpoint; Ctrl-C again ends it at once')
    await says(run, /Stopping for \d+s: .* waiting \d+s operator/)
    run.process.kill('SIGINT')
    expect(await run.done).toMatchObject({ code: 130 })
  })
})

describe('an S3 server that refuses', () => {
  const access = ({ endpoint, accessKey, secretKey }: S3Server) => ({
    AWS_ENDPOINT_URL: endpoint,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: accessKey,
    AWS_SECRET_ACCESS_KEY: secretKey,
  })
  const manifest = (s3: S3Server, name: string, rest: object) => ({
    apiVersion: 'weir.dev/v1alpha1',
    kind: 'StreamJob',
    metadata: { name },
    spec: {
      storage: { s3: { bucket: 'data', endpoint: s3.endpoint, forcePathStyle: true } },
      checkpoint: { interval: '200ms' },
      ...rest,
    },
  })

  test('the credentials ends a job that has never run, with what it said', async () => {
    await using s3 = await startS3()
    await s3.bucket('data')
    writeFileSync(
      join(dir.path, 'denied.json'),
      JSON.stringify(
        manifest(s3, 'denied', { job: { inline: BOUNDED }, restore: { path: 's3://data/savepoint' } }),
      ),
    )
    const begun = performance.now()
    const run = startWith({ ...access(s3), AWS_SECRET_ACCESS_KEY: 'wrong' }, ['run', 'denied.json'])
    const { code, stderr } = await run.done
    expect(code).toBe(1)
    expect(stderr).toMatch(/error: denied failed: Cannot read s3:.*SignatureDoesNotMatch/)
    expect(stderr).not.toContain('trying again')
    expect(stderr).toMatch(/Logs: .*\.weir\/denied\/logs/)
    expect(performance.now() - begun).toBeLessThan(20_000)
  })

  test('a job that has run before is shown, and the job continues when it is let in again', async () => {
    await using s3 = await startS3()
    await s3.bucket('data')
    const inline = ENDLESS.replace('blackhole()', "files.jsonl('s3://data/out/')").replace(
      'blackhole, ',
      'files, ',
    )
    writeFileSync(join(dir.path, 'later.json'), JSON.stringify(manifest(s3, 'later', { job: { inline } })))
    const run = startWith(access(s3), ['run', 'later.json'])
    await completes('later', 2)
    await s3.restart({ secretKey: 'another-secret-key' })
    // A refused HEAD has no body that could name the reason.
    await says(run, /SignatureDoesNotMatch|HTTP 403/)
    const { facts } = json(await weir('status', 'later', '-o', 'json'))
    expect(facts).toMatchObject({ error: { code: 'STO_DENIED' } })
    await s3.restart()
    await says(run, /running again/)
    await completes('later', 1)
    expect(run.process.exitCode).toBe(null)
  })
})

describe('a running local job', () => {
  test('gives savepoints and checkpoints, is locked, stops with Ctrl-C and resumes', async () => {
    const run = start('run', 'endless.ts', '--checkpoint-interval', '200ms')
    await completes('endless', 2)

    const second = await weir('run', 'endless.ts')
    expect(second.code).toBe(1)
    expect(second.stderr).toContain(
      `endless is already running in ${join(dir.path, '.weir/endless')} (process ${run.process.pid}`,
    )

    const savepoint = await weir('savepoint', 'endless', '--path', 'kept', '-o', 'json')
    expect(savepoint.code).toBe(0)
    expect(json(savepoint)).toMatchObject({
      status: 'Completed',
      path: expect.stringMatching(/^file:\/\/.*\/kept$/),
    })
    expect(existsSync(join(dir.path, 'kept/manifest.json'))).toBe(true)
    expect(json(await weir('savepoints', 'endless', '-o', 'json'))).toHaveLength(1)

    const checkpoints = json(await weir('checkpoints', 'list', 'endless', '-o', 'json'))
    expect(checkpoints.length).toBeGreaterThan(0)
    expect(json(await weir('status', 'endless', '-o', 'json'))).toMatchObject({
      state: 'Running',
      facts: { taskManagers: 2 },
    })

    run.process.kill('SIGINT')
    const ended = await run.done
    expect(ended.code).toBe(130)
    expect(ended.stdout).toMatch(/it continues from checkpoint (\d+)\nResume it with: weir run endless\.ts/)
    const last = /continues from checkpoint (\d+)/.exec(ended.stdout)?.[1]
    expect(json(await weir('status', 'endless', '-o', 'json'))).toMatchObject({ state: 'Suspended' })

    const again = start('run', 'endless.ts', '--checkpoint-interval', '200ms')
    await says(again, `endless run 2 starts from checkpoint ${last}`)
    await says(again, `restored from checkpoint ${last}`)
    const stopped = await weir('stop', 'endless')
    expect(stopped).toMatchObject({ code: 0 })
    expect((await again.done).code).toBe(0)
  })

  test('is shown and verified when it does not run, and damage is found', async () => {
    const shown = json(await weir('checkpoints', 'list', 'endless', '-o', 'json'))
    const { id } = shown.at(-1)
    const details = json(await weir('checkpoints', 'show', 'endless', String(id), '-o', 'json'))
    expect(json(await weir('checkpoints', 'show', 'endless', '-o', 'json'))).toEqual(details)
    expect(details.manifest.vertices.map((v: { vertex: string }) => v.vertex)).toContain('counts')
    expect(await weir('checkpoints', 'verify', 'endless')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('is whole'),
    })
    expect(await weir('checkpoints', 'show', 'endless', '99999')).toMatchObject({ code: 3 })
    expect(await weir('checkpoints', 'verify', '--path', 'kept')).toMatchObject({ code: 0 })

    const manifest = join(dir.path, 'kept/manifest.json')
    const text = readFileSync(manifest, 'utf8')
    const file = readdirSync(join(dir.path, 'kept')).find((name) => name.endsWith('.state'))
    if (file === undefined) writeFileSync(manifest, text.replace(/"inline":"./, '"inline":"_'))
    else writeFileSync(join(dir.path, 'kept', file), 'damaged')
    const damaged = await weir('checkpoints', 'verify', '--path', 'kept')
    expect(damaged.code).toBe(1)
    expect(damaged.stdout).toMatch(/damaged: [1-9]/)
    if (file === undefined) writeFileSync(manifest, text)
  })

  test('goes back to a savepoint, and stops with another one', async () => {
    const first = start('run', 'endless.ts', '--name', 'back', '--checkpoint-interval', '200ms')
    await completes('back', 1)
    expect(await weir('savepoint', 'back', '--path', 'before')).toMatchObject({ code: 0 })
    expect(await weir('restore', 'back', 'before')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('weir stop back'),
    })
    expect(await weir('stop', 'back')).toMatchObject({ code: 0 })
    await first.done

    const restored = start('restore', 'back', 'before')
    await says(restored, /running: .*restored from file:\/\/.*before/)
    const stop = await weir('stop', 'back', '--savepoint', 'after', '-o', 'json')
    expect(json(stop)).toMatchObject({ status: 'Suspended', savepoint: expect.stringMatching(/after$/) })
    expect((await restored.done).code).toBe(0)

    const resumed = start('run', 'endless.ts', '--name', 'back')
    await says(resumed, /back run 3 starts from savepoint file:\/\/.*after/)
    await says(resumed, 'checkpoint')
    expect(await weir('stop', 'back')).toMatchObject({ code: 0 })
  })

  test('leaves no process behind when weir run is killed, and resumes', async () => {
    const run = start('run', 'endless.ts', '--name', 'killed', '--checkpoint-interval', '200ms')
    await completes('killed', 1)
    const { rest } = JSON.parse(readFileSync(join(dir.path, '.weir/killed/local.json'), 'utf8')) as {
      rest: string
    }
    run.process.kill('SIGKILL')
    await run.done
    await eventually(
      () =>
        fetch(`${rest}/healthz`).then(
          () => false,
          () => true,
        ),
      { limitMs: 5000, what: 'the JobManager is gone' },
    )
    expect(json(await weir('status', 'killed', '-o', 'json'))).toMatchObject({ state: 'Interrupted' })
    expect(await weir('savepoint', 'killed')).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('killed is not running'),
    })
    const again = start('run', 'endless.ts', '--name', 'killed')
    await says(again, /killed run 2 starts from checkpoint \d+/)
    await says(again, /running: .*restored from checkpoint \d+/)
    expect(await weir('stop', 'killed')).toMatchObject({ code: 0 })
  })
})
