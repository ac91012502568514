import * as z from 'zod'
import { parseDuration } from '#runtime/base/units'
import {
  conditions,
  duration,
  immutable,
  keyRef,
  listMap,
  objectMeta,
  objectName,
  objectRef,
  preserved,
  resources,
  time,
  withRules,
} from '#operator/api/schema'

/**
 * StreamJob: the source of truth of its fields. crds/ and the reference are generated from it,
 * manifests and objects are parsed with it.
 */
export const API_VERSION = 'weir.dev/v1alpha1'

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
      .describe('A ConfigMap that holds the source. A change of its content is an upgrade of the job.'),
    args: z
      .record(z.string(), z.unknown())
      .prefault({})
      .describe(
        'Arguments of the job, checked by the schema that the job declares. Not for secrets: they are readable to whoever reads the object.',
      ),
  }),
  {
    cel: oneOf('inline', 'module', 'configMapKeyRef'),
    message: 'exactly one of inline, module and configMapKeyRef must be set',
    holds: (j) => countOf(j.inline, j.module, j.configMapKeyRef) === 1,
  },
)

const s3 = withRules(
  z.strictObject({
    bucket: withRules(z.string().min(3).max(63), immutable('bucket')).describe(
      'Bucket that holds checkpoints and savepoints.',
    ),
    prefix: withRules(
      z.string().max(512),
      {
        cel: "!self.startsWith('/') && !self.endsWith('/') && !self.contains('//') && !self.contains('..')",
        message: 'must be a key prefix such as "prod/weir", without leading or trailing "/", "//" or ".."',
        holds: (p) => !p.startsWith('/') && !p.endsWith('/') && !p.includes('//') && !p.includes('..'),
      },
      immutable('prefix'),
    )
      .default('')
      .describe("Key prefix in the bucket. The job's files are below <prefix>/<namespace>/<name>/<uid>."),
    endpoint: withRules(z.string().min(1).max(1024), {
      cel: "self.matches('^https?://[^@ ]+$')",
      message: 'must be an http:// or https:// URL without credentials',
      holds: (url) => /^https?:\/\/[^@ ]+$/.test(url),
    })
      .optional()
      .describe('URL of an S3-compatible server. Default: AWS.'),
    region: z.string().min(1).max(64).default('us-east-1').describe('Region of the bucket.'),
    forcePathStyle: z
      .boolean()
      .default(false)
      .describe(
        'Address the bucket in the path rather than in the host name; most servers other than AWS need it.',
      ),
    credentialsSecretRef: objectRef('Secret')
      .optional()
      .describe(
        'A Secret with keys AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and optionally AWS_SESSION_TOKEN. It is mounted as files and read again when it changes. Default: the identity of the pods (serviceAccountName).',
      ),
    caConfigMapKeyRef: keyRef('ConfigMap', 'ca.crt')
      .optional()
      .describe('A ConfigMap with the certificate authority of the endpoint, PEM.'),
  }),
)

const redis = z.strictObject({
  url: withRules(z.string().min(1).max(1024), {
    cel: "self.matches('^rediss?://[^@ ]+$')",
    message: 'must be a redis:// or rediss:// URL without credentials; put them into credentialsSecretRef',
    holds: (url) => /^rediss?:\/\/[^@ ]+$/.test(url),
  }).describe('Address of the Redis server that elects the leading JobManager, redis:// or rediss://.'),
  credentialsSecretRef: objectRef('Secret')
    .optional()
    .describe('A Secret with keys password and optionally username.'),
  caConfigMapKeyRef: keyRef('ConfigMap', 'ca.crt')
    .optional()
    .describe('A ConfigMap with the certificate authority of the server, PEM.'),
  keyPrefix: z
    .string()
    .min(1)
    .max(128)
    .default('weir')
    .describe('First part of every key, for access control lists.'),
})

const checkpoint = withRules(
  z.strictObject({
    interval: duration(10)
      .default('10s')
      .describe(
        'Time between checkpoints. Shorter: less to replay after a failure, more requests to the store.',
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
  {
    cel: '!has(self.minPause) || !has(self.timeout) || duration(self.minPause) < duration(self.timeout)',
    message: 'minPause must be shorter than timeout',
    holds: (c) => parseDuration(c.minPause) < parseDuration(c.timeout),
    field: 'minPause',
  },
)

const restart = withRules(
  z.strictObject({
    strategy: z
      .enum(['ExponentialDelay', 'FailureRate'])
      .default('ExponentialDelay')
      .describe(
        'ExponentialDelay: the delay doubles with every failure. FailureRate: a fixed delay, and a limit of failures in a window.',
      ),
    delay: duration()
      .default('1s')
      .describe('Delay before the first restart; for FailureRate before every restart.'),
    maxDelay: duration().default('1m').describe('Cap of the exponential delay.'),
    window: duration(1)
      .default('10m')
      .describe(
        'FailureRate: time in which failures are counted. ExponentialDelay: time without a failure after which the delay starts over.',
      ),
    maxAttempts: z
      .int()
      .min(0)
      .max(1_000_000)
      .optional()
      .describe('Restarts (in a window for FailureRate) until the job is Failed. Default: no limit.'),
  }),
  {
    cel: '!has(self.delay) || !has(self.maxDelay) || duration(self.delay) <= duration(self.maxDelay)',
    message: 'delay must not be longer than maxDelay',
    holds: (r) => parseDuration(r.delay) <= parseDuration(r.maxDelay),
    field: 'delay',
  },
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
        'Start from the savepoint in this directory, or from the checkpoint with this manifest.json; an s3:// URL.',
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

const envVar = z.strictObject({
  name: z.string().min(1).max(253).describe('Name of the variable.'),
  value: z.string().max(32_768).optional().describe('Its value; $(NAME) refers to variables before it.'),
  valueFrom: preserved()
    .optional()
    .describe('Its source, as in a Pod: secretKeyRef, configMapKeyRef, fieldRef or resourceFieldRef.'),
})

const envFrom = z.strictObject({
  prefix: z.string().max(253).optional().describe('Put before every name.'),
  configMapRef: z
    .strictObject({
      name: objectName().describe('Name of the ConfigMap.'),
      optional: z.boolean().optional().describe('It may be missing.'),
    })
    .optional()
    .describe('All keys of a ConfigMap.'),
  secretRef: z
    .strictObject({
      name: objectName().describe('Name of the Secret.'),
      optional: z.boolean().optional().describe('It may be missing.'),
    })
    .optional()
    .describe('All keys of a Secret.'),
})

const named = z.looseObject({ name: z.string().min(1).max(253).describe('Name that it is merged by.') })
export const podTemplate = z
  .looseObject({
    metadata: z
      .looseObject({
        labels: z
          .record(z.string(), z.string())
          .optional()
          .describe('Labels of the pods; those of weir.dev and app.kubernetes.io cannot be changed.'),
        annotations: z.record(z.string(), z.string()).optional().describe('Annotations of the pods.'),
      })
      .optional()
      .describe('Metadata of the pods.'),
    spec: z
      .looseObject({
        containers: z
          .array(named)
          .max(32)
          .optional()
          .describe(
            'Merged by name over the containers job-manager and task-manager; other names are added as they are.',
          ),
        initContainers: z.array(named).max(32).optional().describe('Added to every pod.'),
        volumes: z.array(named).max(64).optional().describe('Added to every pod.'),
      })
      .optional()
      .describe(
        'A PodSpec as in a Deployment: nodeSelector, tolerations, affinity, volumes, securityContext and so on.',
      ),
  })
  .describe(
    'Changes to all pods of the job, merged over what the operator builds: maps by key, containers and volumes by name, other lists replaced. It is checked when the pods are made (reason PodTemplateInvalid).',
  )
export type PodTemplate = z.infer<typeof podTemplate>

export const streamJobSpec = withRules(
  z.strictObject({
    job: job.describe('The code of the job; exactly one of inline, module and configMapKeyRef.'),
    image: z
      .string()
      .min(1)
      .max(1024)
      .optional()
      .describe(
        "Image of all pods. Default: the operator's; it is written to status.image once for every run, so that an upgrade of the operator restarts no job.",
      ),
    imagePullPolicy: z
      .enum(['Always', 'IfNotPresent', 'Never'])
      .default('IfNotPresent')
      .describe('When the image is pulled, as in a Pod.'),
    imagePullSecrets: listMap(objectRef('Secret'), 'name', 16)
      .optional()
      .describe('Secrets for pulling the image, as in a Pod.'),
    serviceAccountName: objectName()
      .optional()
      .describe(
        'Service account of all pods, for example to give them access to a bucket. Default: one made by the operator. Its API token is never mounted.',
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
        'Suspended: stopped with a checkpoint (or a savepoint, see upgrade.mode), continues where it was when set to Running again. Drained: event time is brought to its end, all windows fire, and the job is complete.',
      ),
    parallelism: z
      .int()
      .min(1)
      .max(32_768)
      .optional()
      .describe(
        'Default parallelism of operators. Leave it out to use all slots (taskManager.replicas times taskManager.slots), as autoscaling needs.',
      ),
    maxParallelism: withRules(z.int().min(1).max(32_768), immutable('maxParallelism'))
      .default(128)
      .describe(
        'Number of key groups, the limit of parallelism for ever. More: finer balance, a little more overhead.',
      ),
    storage: z
      .strictObject({
        s3: s3.describe('An S3-compatible object store with conditional writes (If-None-Match).'),
      })
      .optional()
      .describe("Where checkpoints and savepoints are kept. Default: the operator's defaults.storage."),
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
            'State taken when a run is stopped on purpose. Savepoint: a Savepoint object appears in the namespace and is yours to keep.',
          ),
      })
      .prefault({})
      .describe('How a change of the spec reaches the running job.'),
    restore: restore
      .optional()
      .describe(
        'Another starting point than the latest checkpoint. It acts once for every change of this block, so that it may stay in the manifest.',
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
          .describe('TaskManager pods; what kubectl scale and a HorizontalPodAutoscaler set.'),
        slots: z
          .int()
          .min(1)
          .max(64)
          .default(1)
          .describe('Threads of a TaskManager; each runs one pipeline of the job.'),
        resources: resources()
          .optional()
          .describe(
            "Resources of a TaskManager. The heap of its slots follows limits.memory. Default: the operator's.",
          ),
      })
      .prefault({})
      .describe('The workers of the job.'),
    podTemplate: podTemplate.optional(),
    logLevel: z
      .enum(['Trace', 'Debug', 'Info', 'Warn', 'Error'])
      .default('Info')
      .describe('Least level of log lines. A change begins a new run.'),
  }),
  {
    cel: '!has(self.parallelism) || !has(self.maxParallelism) || self.parallelism <= self.maxParallelism',
    message: 'parallelism must not be greater than maxParallelism',
    holds: (s) => s.parallelism === undefined || s.parallelism <= s.maxParallelism,
    field: 'parallelism',
  },
  {
    cel: 'has(self.storage) == has(oldSelf.storage)',
    message: 'storage cannot be added or removed after creation; make a new StreamJob instead',
  },
)
export type StreamJobSpec = z.infer<typeof streamJobSpec>

const outcome = z.enum(['Finished', 'Suspended', 'Drained', 'Failed', 'Superseded'])

export const streamJobStatus = z.object({
  observedGeneration: z
    .int()
    .min(0)
    .optional()
    .describe('Generation that the rest of the status was computed for.'),
  conditions: conditions().optional(),
  phase: z
    .enum(['Starting', 'Running', 'Restarting', 'Upgrading', 'Suspended', 'Drained', 'Finished', 'Failed'])
    .optional()
    .describe('One word for people. Machines use the conditions.'),
  runId: z
    .string()
    .max(20)
    .optional()
    .describe(
      'Number of the current run: one deployment of a spec. Written before anything of the run is made.',
    ),
  run: z
    .object({
      specHash: z.string().max(64).describe('Hash of the parts of the spec that the run was made from.'),
      generation: z.int().min(0).describe('Generation that the run was made from.'),
      startedAt: time().describe('When the run was decided.'),
      restoreHash: z.string().max(64).optional().describe('Hash of the restore block that the run applies.'),
      stopRequestedAt: time().optional().describe('Since when the operator asks the run to stop.'),
      outcome: outcome.optional().describe('How the run ended. Absent: it has not.'),
      outcomeMessage: z.string().max(4096).optional().describe('Why it ended so.'),
    })
    .optional()
    .describe('What the operator must know about the current run after its own restart.'),
  restoreHash: z.string().max(64).optional().describe('Hash of the restore block that was applied last.'),
  attempt: z.string().max(64).optional().describe('Current execution between restarts, <epoch>.<n>.'),
  image: z.string().max(1024).optional().describe('Image of the current run.'),
  runtimeVersion: z.string().max(64).optional().describe('Version of Weir that the pods speak.'),
  storagePath: z.string().max(2048).optional().describe("Root of the job's files."),
  restoredFrom: z
    .string()
    .max(2048)
    .optional()
    .describe('Checkpoint or savepoint that the current run started from.'),
  replicas: z.int().min(0).optional().describe('TaskManager pods.'),
  selector: z
    .string()
    .max(1024)
    .optional()
    .describe('Selects the TaskManager pods, for autoscalers and disruption budgets.'),
  parallelism: z.int().min(0).optional().describe('Parallelism in use.'),
  leader: z.string().max(253).optional().describe('Pod of the leading JobManager.'),
  restarts: z.int().min(0).optional().describe('Restarts of the current run.'),
  lastCheckpoint: z
    .object({
      id: z.int().min(0).describe('Number of the checkpoint.'),
      completedAt: time().describe('When it was complete.'),
      path: z.string().max(2048).describe('Its directory.'),
      sizeBytes: z.int().min(0).describe('Size of the state that it covers.'),
      duration: z.string().max(32).describe('From trigger to completion.'),
    })
    .optional()
    .describe('The newest completed checkpoint; refreshed at most every 30 seconds.'),
  lastSavepoint: z
    .object({
      name: z.string().max(253).describe('Name of the Savepoint.'),
      path: z.string().max(2048).describe('Its directory.'),
    })
    .optional()
    .describe('The newest completed Savepoint of the job.'),
  recoveries: z
    .array(
      z.object({
        at: time().describe('When the failure was noticed.'),
        cause: z.string().max(1024).describe('What failed.'),
        checkpointId: z.int().min(0).optional().describe('Checkpoint that the job came back from.'),
        detectMs: z.int().min(0).describe('Milliseconds from the last sign of life to the notice.'),
        electMs: z.int().min(0).describe('Milliseconds to elect a leader.'),
        scheduleMs: z.int().min(0).describe('Milliseconds to place and start the tasks.'),
        restoreMs: z.int().min(0).describe('Milliseconds to load the state.'),
        firstRecordMs: z
          .int()
          .min(0)
          .optional()
          .describe('Milliseconds from the failure to the first record after it.'),
      }),
    )
    .max(10)
    .meta({ 'x-kubernetes-list-type': 'atomic' })
    .optional()
    .describe('The last ten recoveries, newest first.'),
})
export type StreamJobStatus = z.infer<typeof streamJobStatus>
export type RunStatus = NonNullable<StreamJobStatus['run']>
export type RunOutcome = z.infer<typeof outcome>

/**
 * Names of Services and labels are made from the job's name, so it is shorter than Kubernetes
 * allows.
 */
export const JOB_NAME_MAX = 45
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
    cel: `size(self.metadata.name) <= ${JOB_NAME_MAX} && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')`,
    message: `the name of a StreamJob must begin with a letter, have only lower-case letters, digits and "-", and at most ${JOB_NAME_MAX} characters`,
    holds: (o) => o.metadata.name.length <= JOB_NAME_MAX && JOB_NAME.test(o.metadata.name),
  },
)
export type StreamJobManifest = z.infer<typeof streamJob>
