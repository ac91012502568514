import { BAD_SAVEPOINTS, BAD_STREAM_JOBS, type BadSpecs } from '#test/kit/bad-specs'

/** Manifests that the API server must refuse, each with words of the sentence that tells why. */
export interface BadManifest {
  readonly what: string
  readonly manifest: Manifest
  readonly says: RegExp
}

interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string }
  readonly spec?: unknown
}

const inline = 'export default 1'
const job = { inline }

function streamJob(spec: object, name = 'bad'): Manifest {
  return { apiVersion: 'weir.dev/v1alpha1', kind: 'StreamJob', metadata: { name }, spec: { job, ...spec } }
}

function savepoint(spec: object): Manifest {
  return { apiVersion: 'weir.dev/v1alpha1', kind: 'Savepoint', metadata: { name: 'bad' }, spec }
}

const literally = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)

const refused = (groups: readonly BadSpecs[], manifestOf: (spec: object) => Manifest): BadManifest[] =>
  groups.flatMap(([field, says, specs]) =>
    specs.map((spec) => ({
      what: JSON.stringify(spec),
      manifest: manifestOf(spec),
      says: new RegExp(`${literally(field)}.*${literally(says)}`, 's'),
    })),
  )

export const BAD_MANIFESTS: readonly BadManifest[] = [
  ...refused(BAD_STREAM_JOBS, streamJob),
  ...refused(BAD_SAVEPOINTS, savepoint),
  { what: 'no job', manifest: streamJob({ job: undefined }), says: /spec\.job.*Required/ },
  {
    what: 'a job without source',
    manifest: streamJob({ job: {} }),
    says: /exactly one of inline, module and configMapKeyRef/,
  },
  {
    what: 'two sources',
    manifest: streamJob({ job: { inline, module: '/app/job.ts' } }),
    says: /exactly one of inline, module and configMapKeyRef/,
  },
  {
    what: 'a module URL',
    manifest: streamJob({ job: { module: 'https://example.com/job.ts' } }),
    says: /path in the image/,
  },
  {
    what: 'an unknown field',
    manifest: streamJob({ paralelism: 3 }),
    says: /unknown field "spec\.paralelism"/,
  },
  {
    what: 'an unknown nested field',
    manifest: streamJob({ checkpoint: { intervall: '1s' } }),
    says: /unknown field "spec\.checkpoint\.intervall"/,
  },
  {
    what: 'a duration without unit',
    manifest: streamJob({ checkpoint: { interval: '10' } }),
    says: /spec\.checkpoint\.interval.*duration/s,
  },
  {
    what: 'a duration that is a number',
    manifest: streamJob({ checkpoint: { interval: 10 } }),
    says: /must be of type string/,
  },
  {
    what: 'a pause longer than the limit',
    manifest: streamJob({ checkpoint: { minPause: '10m', timeout: '1m' } }),
    says: /minPause must be shorter than timeout/,
  },
  {
    what: 'no checkpoint kept',
    manifest: streamJob({ checkpoint: { retain: 0 } }),
    says: /retain.*greater than or equal to 1/,
  },
  {
    what: 'an unknown state',
    manifest: streamJob({ state: 'Paused' }),
    says: /Unsupported value: "Paused".*"Running", "Suspended", "Drained"/,
  },
  {
    what: 'an unknown restart strategy',
    manifest: streamJob({ restart: { strategy: 'Sometimes' } }),
    says: /Unsupported value: "Sometimes"/,
  },
  {
    what: 'a delay above its cap',
    manifest: streamJob({ restart: { delay: '2m', maxDelay: '1m' } }),
    says: /delay must not be longer than maxDelay/,
  },
  {
    what: 'no slot',
    manifest: streamJob({ taskManager: { slots: 0 } }),
    says: /slots.*greater than or equal to 1/,
  },
  {
    what: 'half a TaskManager',
    manifest: streamJob({ taskManager: { replicas: 1.5 } }),
    says: /replicas.*integer/,
  },
  {
    what: 'more parallelism than key groups',
    manifest: streamJob({ parallelism: 200, maxParallelism: 128 }),
    says: /parallelism must not be greater than maxParallelism/,
  },
  {
    what: 'an endpoint without scheme',
    manifest: streamJob({ storage: { s3: { bucket: 'streams', endpoint: 's3.example.com' } } }),
    says: /http:\/\/ or https:\/\/ URL/,
  },
  {
    what: 'a prefix with a leading slash',
    manifest: streamJob({ storage: { s3: { bucket: 'streams', prefix: '/a' } } }),
    says: /key prefix/,
  },
  {
    what: 'a Redis URL with a password',
    manifest: streamJob({ redis: { url: 'redis://:secret@redis:6379' } }),
    says: /without credentials/,
  },
  {
    what: 'two restore points',
    manifest: streamJob({ restore: { path: 's3://a/b', empty: true } }),
    says: /exactly one of savepointRef, path and empty/,
  },
  {
    what: 'a restore path on a disk',
    manifest: streamJob({ restore: { path: '/tmp/savepoint' } }),
    says: /s3:\/\/ URL/,
  },
  {
    what: 'a variable twice',
    manifest: streamJob({
      env: [
        { name: 'A', value: '1' },
        { name: 'A', value: '2' },
      ],
    }),
    says: /Duplicate value|duplicate/,
  },
  {
    what: 'a variable that the operator sets',
    manifest: streamJob({ env: [{ name: 'POD_NAME', value: 'x' }] }),
    says: /set by the operator/,
  },
  {
    what: 'a variable with a value and a source',
    manifest: streamJob({
      env: [{ name: 'A', value: '1', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }],
    }),
    says: /may be set/,
  },
  { what: 'a name that is too long', manifest: streamJob({}, 'a'.repeat(50)), says: /at most 45 characters/ },
  {
    what: 'a name that begins with a digit',
    manifest: streamJob({}, '1st'),
    says: /must begin with a letter/,
  },
  { what: 'a Savepoint of nothing', manifest: savepoint({}), says: /streamJobRef/ },
  {
    what: 'a Savepoint with an unknown field',
    manifest: savepoint({ streamJobRef: { name: 'a' }, paths: 's3://a' }),
    says: /unknown field "spec\.paths"/,
  },
]
