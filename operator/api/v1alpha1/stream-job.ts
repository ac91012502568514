/**
 * StreamJob: the source of truth of its fields. crds/ and the reference are generated from it,
 * manifests and objects are parsed with it.
 */
import * as z from 'zod'
import { API_VERSION } from '#operator/api/group'
import {
  comparedDurations,
  duration,
  immutable,
  keyRef,
  listMap,
  objectMeta,
  objectName,
  objectRef,
  resources,
  withRules,
} from '#operator/api/schema'
import { envFrom, envVar, podTemplate } from './pods.ts'
import { redis, s3 } from './services.ts'
import { streamJobStatus } from './stream-job-status.ts'

const oneOf = (...fields: readonly string[]): string =>
  `[${fields.map((f) => `has(self.${f})`).join(', ')}].filter(x, x).size() == 1`
const countOf = (...values: readonly unknown[]): number => values.filter((v) => v !== undefined).length

const job = withRules(
  z.strictObject({
    inline: z
      .string()
      .min(1)
      .max(131_072)
      .optional()
      .describe('TypeScript source of the job: a module whose default export is defineJob(...).'),
    module: withRules(z.string().min(1).max(1024), {
      cel: "!self.contains('://')",
      message: 'must be a path in the image; URLs are not supported',
      holds: (path) => !path.includes('://'),
    })
      .optional()
      .describe("Path of the job's module in the image."),
    configMapKeyRef: keyRef('ConfigMap', 'job.ts')
      .optional()
      .describe(
        'A ConfigMap that holds the source. A change of its content is an upgrade of the job; ' +
          'it is read every 30 seconds.',
      ),
    args: z
      .record(z.string(), z.unknown())
      .prefault({})
      .describe(
        'Arguments of the job, checked by the schema that the job declares. ' +
          'Not for secrets: they are readable to whoever reads the object.',
      ),
  }),
  {
    cel: oneOf('inline', 'module', 'configMapKeyRef'),
    message: 'exactly one of inline, module and configMapKeyRef must be set',
    holds: (j) => countOf(j.inline, j.module, j.configMapKeyRef) === 1,
  },
)

const checkpoint = withRules(
  z.strictObject({
    interval: duration(10)
      .default('10s')
      .describe(
        'Time between checkpoints. A late trigger counts once: missed intervals are skipped. ' +
          'Shorter: less to replay after a failure, more requests to the store.',
      ),
    timeout: duration(10).default('5m').describe('A checkpoint that is not complete within it is given up.'),
    minPause: duration()
      .default('500ms')
      .describe('Least time between the end of one checkpoint and the start of the next.'),
    tolerableFailures: z
      .int()
      .min(0)
      .max(10_000)
      .default(3)
      .describe('Failed checkpoints in a row that are tolerated before the job restarts.'),
    retain: z.int().min(1).max(1000).default(3).describe('Completed checkpoints that are kept.'),
  }),
  comparedDurations(['minPause', '<', 'timeout'], 'minPause must be shorter than timeout'),
)

const restart = withRules(
  z.strictObject({
    strategy: z
      .enum(['ExponentialDelay', 'FailureRate'])
      .default('ExponentialDelay')
      .describe(
        'ExponentialDelay: the delay grows by half with every failure. ' +
          'FailureRate: a fixed delay, and a limit of failures in a window.',
      ),
    delay: duration()
      .default('1s')
      .describe(
        'Delay before the first restart; for FailureRate before every restart. ' +
          'The first process that is lost in a window is replaced at once.',
      ),
    maxDelay: duration().default('1m').describe('Cap of the exponential delay.'),
    window: duration(1)
      .default('10m')
      .describe(
        'FailureRate: time in which failures are counted. ' +
          'ExponentialDelay: time without a failure after which the delay starts over.',
      ),
    maxAttempts: z
      .int()
      .min(0)
      .max(1_000_000)
      .optional()
      .describe(
        'Restarts (in a window for FailureRate) until the job is Failed. ' +
          'Default: no limit for ExponentialDelay, 5 for FailureRate.',
      ),
  }),
  comparedDurations(['delay', '<=', 'maxDelay'], 'delay must not be longer than maxDelay'),
)

const restore = withRules(
  z.strictObject({
    savepointRef: objectRef('Savepoint')
      .optional()
      .describe('Start from this Savepoint; the job waits until it is Ready.'),
    path: withRules(z.string().min(1).max(2048), {
      cel: "self.startsWith('s3://')",
      message: 'must be an s3:// URL of a savepoint directory or of the manifest.json of a checkpoint',
      holds: (path) => path.startsWith('s3://'),
    })
      .optional()
      .describe(
        'Start from the savepoint in this directory, or from the checkpoint with this manifest.json; ' +
          'an s3:// URL.',
      ),
    empty: z.literal(true).optional().describe('Start without state and from the beginning of the sources.'),
    allowNonRestoredState: z
      .boolean()
      .default(false)
      .describe('Drop state that belongs to no operator of the job. Otherwise the job is refused.'),
    nonce: z
      .string()
      .max(256)
      .optional()
      .describe('Any text. Change it to restore once more from the same place.'),
  }),
  {
    cel: oneOf('savepointRef', 'path', 'empty'),
    message: 'exactly one of savepointRef, path and empty must be set',
    holds: (r) => countOf(r.savepointRef, r.path, r.empty) === 1,
  },
)

export const streamJobSpec = withRules(
  z.strictObject({
    job: job.describe('The code of the job; exactly one of inline, module and configMapKeyRef.'),
    image: z
      .string()
      .min(1)
      .max(1024)
      .optional()
      .describe(
        "Image of all pods. Default: the operator's; it is written to status.image once for every run, " +
          'so that an upgrade of the operator restarts no job.',
      ),
    imagePullPolicy: z
      .enum(['Always', 'IfNotPresent', 'Never'])
      .default('IfNotPresent')
      .describe(
        'When the image is pulled, as in a Pod. ' +
          'A change begins a new run: the pods of a run are made once and never changed.',
      ),
    imagePullSecrets: listMap(objectRef('Secret'), 'name', 16)
      .optional()
      .describe('Secrets for pulling the image, as in a Pod.'),
    serviceAccountName: objectName()
      .optional()
      .describe(
        'Service account of all pods, for example to give them access to a bucket. ' +
          'Default: one made by the operator. Its API token is never mounted.',
      ),
    env: listMap(envVar, 'name', 256)
      .optional()
      .describe('Environment variables of JobManager and TaskManagers.'),
    envFrom: z
      .array(envFrom)
      .max(32)
      .optional()
      .describe('Sources of environment variables of JobManager and TaskManagers.'),
    state: z
      .enum(['Running', 'Suspended', 'Drained'])
      .default('Running')
      .describe(
        'Suspended: stopped with a checkpoint (or a savepoint, see upgrade.mode), ' +
          'continues where it was when set to Running again. ' +
          'Drained: event time is brought to its end, all windows fire, and the job is complete.',
      ),
    parallelism: z
      .int()
      .min(1)
      .max(32_768)
      .optional()
      .describe(
        'Default parallelism of operators. Leave it out to use all slots ' +
          '(taskManager.replicas times taskManager.slots), as autoscaling needs.',
      ),
    maxParallelism: withRules(z.int().min(1).max(32_768), immutable('maxParallelism'))
      .default(128)
      .describe(
        'Number of key groups: the most parallelism that the job can ever have. ' +
          'More: finer balance, a little more overhead.',
      ),
    storage: z
      .strictObject({
        s3: s3.describe('An S3-compatible object store with conditional writes (If-None-Match).'),
      })
      .optional()
      .describe(
        'Where checkpoints and savepoints are kept. ' +
          "Default: the operator's defaults.storage at the first run, which status.resolved then has. " +
          'Adding this together with restore moves a job.',
      ),
    redis: redis
      .optional()
      .describe("Redis that elects the leading JobManager. Default: the operator's defaults.redis."),
    checkpoint: checkpoint.prefault({}).describe('When checkpoints are taken and how many are kept.'),
    restart: restart.prefault({}).describe('What happens after a failure.'),
    upgrade: z
      .strictObject({
        mode: z
          .enum(['LastCheckpoint', 'Savepoint'])
          .default('LastCheckpoint')
          .describe(
            'State taken when a run is stopped on purpose. ' +
              'Savepoint: a Savepoint object appears in the namespace and is yours to keep.',
          ),
        deadline: duration(1000)
          .default('5m')
          .describe(
            'A job that is not ready for so long, or a run without a completed checkpoint for so long ' +
              'beyond checkpoint.interval, is Stalled until it is ready. Nothing is ended by it.',
          ),
      })
      .prefault({})
      .describe('How a change of the spec reaches the running job.'),
    restore: restore
      .optional()
      .describe(
        'Another starting point than the latest checkpoint. ' +
          'It acts once for every change of this block, so that it may stay in the manifest.',
      ),
    jobManager: z
      .strictObject({
        replicas: z
          .int()
          .min(1)
          .max(5)
          .default(1)
          .describe('JobManager pods: one leads, the others stand by. More than one needs Redis.'),
        resources: resources()
          .optional()
          .describe("Resources of a JobManager. Its heap follows limits.memory. Default: the operator's."),
        podTemplate: podTemplate("the pods of JobManagers, merged over the job's podTemplate").optional(),
      })
      .prefault({})
      .describe('The coordinator of the job.'),
    taskManager: z
      .strictObject({
        replicas: z
          .int()
          .min(1)
          .max(1000)
          .default(1)
          .describe(
            'TaskManager pods; what kubectl scale and a HorizontalPodAutoscaler set. ' +
              'Without parallelism no more are made than maxParallelism leaves work for (ScaleLimited).',
          ),
        slots: z
          .int()
          .min(1)
          .max(64)
          .default(1)
          .describe('Threads of a TaskManager; each runs one pipeline of the job.'),
        resources: resources()
          .optional()
          .describe(
            'Resources of a TaskManager. The heap of its slots follows limits.memory. ' +
              "Default: the operator's.",
          ),
        podTemplate: podTemplate("the pods of TaskManagers, merged over the job's podTemplate").optional(),
      })
      .prefault({})
      .describe('The workers of the job.'),
    podTemplate: podTemplate('all pods of the job, merged over what the operator builds').optional(),
    logLevel: z
      .enum(['Trace', 'Debug', 'Info', 'Warn', 'Error'])
      .default('Info')
      .describe(
        'Lines below this level are not written. ' +
          'A change begins a new run: processes read it when they start, from what the run was made with.',
      ),
  }),
  {
    cel: '!has(self.parallelism) || !has(self.maxParallelism) || self.parallelism <= self.maxParallelism',
    message: 'parallelism must not be greater than maxParallelism',
    holds: (s) => s.parallelism === undefined || s.parallelism <= s.maxParallelism,
    field: 'parallelism',
  },
  {
    cel: '!has(oldSelf.storage) || has(self.storage)',
    message: 'storage cannot be removed after creation; make a new StreamJob instead',
  },
)
export type StreamJobSpec = z.infer<typeof streamJobSpec>

/**
 * Names of Services and labels are made from the job's name, so it is shorter than Kubernetes
 * allows.
 */
const JOB_NAME_MAX = 45
const JOB_NAME = /^[a-z]([-a-z0-9]*[a-z0-9])?$/

export const streamJob = withRules(
  z.strictObject({
    apiVersion: z.literal(API_VERSION),
    kind: z.literal('StreamJob'),
    metadata: objectMeta,
    spec: streamJobSpec.describe('What the user wants.'),
    status: streamJobStatus.optional().describe('What the operator sees; written by the operator only.'),
  }),
  {
    cel: `size(self.metadata.name) <= ${JOB_NAME_MAX} && self.metadata.name.matches('${JOB_NAME.source}')`,
    message:
      'the name of a StreamJob must begin with a letter, ' +
      `have only lower-case letters, digits and "-", and at most ${JOB_NAME_MAX} characters`,
    holds: (o) => o.metadata.name.length <= JOB_NAME_MAX && JOB_NAME.test(o.metadata.name),
  },
)
export type StreamJobManifest = z.infer<typeof streamJob>
