import { describe, expect, test } from 'vitest'
import { checkManifest, parseManifests } from '#operator/api/manifest'

const WORD_COUNT = `
apiVersion: weir.dev/v1alpha1
kind: StreamJob
metadata: {name: word-count}
spec:
  job: {inline: "export default 1", args: {input: s3://data/books/}}
  taskManager: {replicas: 2, slots: 2}
  checkpoint: {interval: 10s}
`

const job = (spec: object, name = 'a') => ({
  apiVersion: 'weir.dev/v1alpha1',
  kind: 'StreamJob',
  metadata: { name },
  spec: { job: { inline: 'x' }, ...spec },
})
const savepoint = (spec: object) => ({
  apiVersion: 'weir.dev/v1alpha1',
  kind: 'Savepoint',
  metadata: { name: 's' },
  spec,
})
const problems = (document: object): string[] =>
  checkManifest(document).problems.map((p) => `${p.path}: ${p.message}`)

describe('parseManifests()', () => {
  test('fills every default', () => {
    const [manifest] = parseManifests(WORD_COUNT, 'word-count.yaml')
    expect(manifest?.spec).toMatchObject({
      state: 'Running',
      maxParallelism: 128,
      checkpoint: { interval: '10s', timeout: '5m', minPause: '500ms', tolerableFailures: 3, retain: 3 },
      restart: { strategy: 'ExponentialDelay', delay: '1s', maxDelay: '1m', window: '10m' },
      jobManager: { replicas: 1 },
      taskManager: { replicas: 2, slots: 2 },
      upgrade: { mode: 'LastCheckpoint' },
    })
  })

  test('reports all problems of all documents at once, with their paths', () => {
    const first = WORD_COUNT.replace('10s', '10x').replace('replicas: 2', 'replicas: 0')
    const text = `${first}\n---\n${WORD_COUNT.replace('inline', 'inlin')}`
    const said = [
      'f.yaml is not valid:',
      'document 1: spec.checkpoint.interval: must be a duration',
      'document 1: spec.taskManager.replicas',
      'document 2: spec.job.inlin: unknown field',
    ]
    for (const part of said) expect(() => parseManifests(text, 'f.yaml')).toThrow(part)
  })

  test('skips objects of other groups and refuses a file without any of ours', () => {
    const configMap = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n'
    expect(parseManifests(`${configMap}---${WORD_COUNT}`, 'f.yaml')).toHaveLength(1)
    expect(() => parseManifests(configMap, 'f.yaml')).toThrow('f.yaml has no object of weir.dev/v1alpha1')
  })

  test('names the line of a syntax error', () => {
    expect(() => parseManifests('a: [1', 'f.yaml')).toThrow(/line 1/)
  })
})

describe('rules of StreamJob', () => {
  test.each([
    [
      'two sources of code',
      { job: { inline: 'x', module: '/a.ts' } },
      'exactly one of inline, module and configMapKeyRef',
    ],
    ['no source of code', { job: {} }, 'exactly one of inline, module and configMapKeyRef'],
    ['a module URL', { job: { module: 'https://a/b.ts' } }, 'URLs are not supported'],
    [
      'a pause as long as the timeout',
      { checkpoint: { minPause: '1m', timeout: '60s' } },
      'minPause must be shorter than timeout',
    ],
    ['a delay above its cap', { restart: { delay: '2m' } }, 'delay must not be longer than maxDelay'],
    [
      'two restore points',
      { restore: { path: 's3://a/b', empty: true } },
      'exactly one of savepointRef, path and empty',
    ],
    ['a restore path without scheme', { restore: { path: '/tmp/x' } }, 'must be an s3:// URL'],
    ['empty: false', { restore: { empty: false } }, 'spec.restore.empty'],
    ['credentials in the Redis URL', { redis: { url: 'redis://u:p@host' } }, 'without credentials'],
    [
      'a prefix with a slash at its end',
      { storage: { s3: { bucket: 'abc', prefix: 'a/' } } },
      'must be a key prefix',
    ],
    [
      'parallelism above maxParallelism',
      { parallelism: 129 },
      'parallelism must not be greater than maxParallelism',
    ],
    ['a bad quantity', { taskManager: { resources: { limits: { memory: '1Gb' } } } }, 'must be a quantity'],
    ['a field that does not exist', { paralelism: 2 }, 'spec.paralelism: unknown field'],
    ['a variable that the operator sets', { env: [{ name: 'POD_NAME', value: 'x' }] }, 'set by the operator'],
    [
      'a variable with a value and a source',
      { env: [{ name: 'A', value: '1', valueFrom: {} }] },
      'only one of value and valueFrom may be set',
    ],
    ['an interval of zero', { checkpoint: { interval: '0s' } }, 'must be between 10ms and 8760h'],
  ])('%s is refused', (_what, spec, message) => {
    expect(problems(job(spec)).join('\n')).toContain(message)
  })

  test.each(['a'.repeat(46), 'Upper', '1st', 'a.b'])('the name %s is refused', (name) => {
    expect(problems(job({}, name)).join('\n')).toContain('the name of a StreamJob must begin with a letter')
  })

  test('keeps what a pod template says and it does not know', () => {
    const spec = {
      podTemplate: { spec: { nodeSelector: { a: 'b' }, containers: [{ name: 'task-manager', env: [] }] } },
    }
    expect(checkManifest(job(spec)).value?.spec).toMatchObject(spec)
  })
})

describe('rules of Savepoint', () => {
  test.each([
    ['neither job nor path', {}, 'exactly one of streamJobRef and existingPath'],
    [
      'both job and path',
      { streamJobRef: { name: 'a' }, existingPath: 's3://a/b' },
      'exactly one of streamJobRef and existingPath',
    ],
    ['a target for an import', { existingPath: 's3://a/b', path: 's3://a/c' }, 'needs streamJobRef'],
  ])('%s is refused', (_what, spec, message) => {
    expect(problems(savepoint(spec)).join('\n')).toContain(message)
  })

  test('a reference to a job is enough', () => {
    expect(checkManifest(savepoint({ streamJobRef: { name: 'a' } })).value?.spec).toEqual({
      streamJobRef: { name: 'a' },
      backoffLimit: 3,
      timeout: '10m',
    })
  })
})

test('other kinds and versions are refused by name', () => {
  expect(problems({ apiVersion: 'weir.dev/v1', kind: 'StreamJob' })).toEqual([
    'apiVersion: is "weir.dev/v1", expected weir.dev/v1alpha1',
  ])
  expect(problems({ apiVersion: 'weir.dev/v1alpha1', kind: 'Job' })).toEqual([
    'kind: is "Job", expected StreamJob or Savepoint',
  ])
})
