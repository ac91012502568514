import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { nameOf, readLocalJob } from '#cli/local/job-file'
import { manifestJob } from '#cli/local/manifest'

const manifest = (spec: object, name = 'orders'): string =>
  JSON.stringify({
    apiVersion: 'weir.dev/v1alpha1',
    kind: 'StreamJob',
    metadata: { name },
    spec: { job: { inline: 'x' }, ...spec },
  })

describe('nameOf()', () => {
  test.each([
    ['word-count.ts', 'word-count'],
    ['/a/My_Job.v2.ts', 'my-job-v2'],
    ['2024.ts', 'job-2024'],
    ['__x__.ts', 'x'],
    [`${'a'.repeat(60)}.ts`, 'a'.repeat(45)],
  ])('%s is %s', (path, name) => {
    expect(nameOf(path)).toBe(name)
  })
})

describe('manifestJob()', () => {
  test('turns the fields of a StreamJob into numbers, defaults included', () => {
    const job = manifestJob(
      manifest({
        job: { inline: 'x', args: { a: 1 } },
        taskManager: { replicas: 3, slots: 2 },
        checkpoint: { interval: '1m30s' },
        parallelism: 4,
      }),
      '/m/job.yaml',
      undefined,
    )
    expect(job).toMatchObject({
      name: 'orders',
      module: { source: 'x' },
      args: { a: 1 },
      taskManagers: 3,
      slots: 2,
      parallelism: 4,
      maxParallelism: 128,
      checkpoint: {
        intervalMs: 90_000,
        timeoutMs: 300_000,
        minPauseMs: 500,
        tolerableFailures: 3,
        retain: 3,
      },
      restart: { strategy: 'ExponentialDelay', delayMs: 1000 },
    })
  })
  test('finds a module beside the manifest', () => {
    expect(manifestJob(manifest({ job: { module: 'src/job.ts' } }), '/m/job.yaml', undefined).module).toEqual(
      { path: '/m/src/job.ts' },
    )
  })
  test('keeps the S3 settings for connectors', () => {
    const storage = { s3: { bucket: 'data', endpoint: 'http://localhost:9000', forcePathStyle: true } }
    expect(manifestJob(manifest({ storage }), '/m/job.yaml', undefined).s3).toEqual({
      endpoint: 'http://localhost:9000',
      region: 'us-east-1',
      forcePathStyle: true,
    })
  })
  test('a restore block acts once, what names objects of a cluster is refused', () => {
    const job = manifestJob(manifest({ restore: { empty: true } }), '/m/job.yaml', undefined)
    expect(job.restore).toEqual({ allowNonRestoredState: false })
    expect(job.restoreKey).toBeDefined()
    expect(() =>
      manifestJob(manifest({ restore: { savepointRef: { name: 's' } } }), '/m/job.yaml', undefined),
    ).toThrow('exists only on a cluster')
    expect(() =>
      manifestJob(manifest({ job: { configMapKeyRef: { name: 'c' } } }), '/m/job.yaml', undefined),
    ).toThrow('ConfigMap c')
  })
  test('of several jobs one has to be named', () => {
    const both = `${manifest({}, 'a')}\n---\n${manifest({}, 'b')}\n`
    expect(() => manifestJob(both, 'job.yaml', undefined)).toThrow('several StreamJobs: a, b')
    expect(manifestJob(both, 'job.yaml', 'b').name).toBe('b')
  })
})

describe('readLocalJob()', () => {
  test('options stand over the manifest, and --from acts at once', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'weir-job-'))
    writeFileSync(
      join(dir, 'job.yaml'),
      manifest({ job: { inline: 'x', args: { a: 1, b: 2 } }, restore: { empty: true } }),
    )
    const job = await readLocalJob(
      'job.yaml',
      {
        arg: ['a=9'],
        slots: 4,
        name: 'other',
        checkpointInterval: 250,
        from: 'kept/sp',
        allowNonRestoredState: true,
      },
      dir,
    )
    expect(job).toMatchObject({
      name: 'other',
      args: { a: 9, b: 2 },
      slots: 4,
      checkpoint: { intervalMs: 250, retain: 3 },
      restore: { path: `file://${dir}/kept/sp`, allowNonRestoredState: true },
    })
    expect(job.restoreKey).toBeUndefined()
  })
})

test('a module reads and writes s3:// with the settings of the environment', async () => {
  const path = join(mkdtempSync(join(tmpdir(), 'weir-')), 'job.ts')
  writeFileSync(path, '')
  vi.stubEnv('AWS_ENDPOINT_URL', 'http://127.0.0.1:9000')
  vi.stubEnv('AWS_REGION', 'eu-west-3')
  const { s3 } = await readLocalJob(path, {}, '/')
  vi.unstubAllEnvs()
  expect(s3).toEqual({ endpoint: 'http://127.0.0.1:9000', region: 'eu-west-3', forcePathStyle: true })
})

test('what may be dropped is known also without a savepoint to start from', async () => {
  const path = join(mkdtempSync(join(tmpdir(), 'weir-')), 'job.ts')
  writeFileSync(path, '')
  const job = await readLocalJob(path, { allowNonRestoredState: true }, '/')
  expect(job).toMatchObject({ allowNonRestoredState: true })
  expect(job.restore).toBeUndefined()
})
