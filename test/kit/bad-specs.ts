/**
 * The field that the API server must name (none: where it knows no such field), words of the
 * sentence, and specs that it must refuse with them.
 */
export type BadSpecs = readonly [field: string, says: string, specs: readonly object[]]

const inline = 'export default 1'
const A_DURATION = 'must be a duration of ms, s, m, h parts such as "500ms", "10s" or "1h30m"'
const A_NAME = 'must be the name of an object: lower-case letters, digits, "-" and "."'

/** Of StreamJobs; where there is no job, a good one is added. */
export const BAD_STREAM_JOBS: readonly BadSpecs[] = [
  ['spec.job', 'must be of type object', [{ job: 'export default 1' }]],
  ['spec.job.inline', 'should be at least 1 chars long', [{ job: { inline: '' } }]],
  ['spec.job.inline', 'must be of type string', [{ job: { inline: 5 } }]],
  ['spec.job.module', 'should be at least 1 chars long', [{ job: { module: '' } }]],
  [
    'spec.job.module',
    'must be a path in the image; URLs are not supported',
    [{ job: { module: 's3://b/job.ts' } }],
  ],
  [
    'spec.job',
    'exactly one of inline, module and configMapKeyRef must be set',
    [
      { job: { inline: 'a', module: 'b', configMapKeyRef: { name: 'c' } } },
      { job: { inline: 'a', configMapKeyRef: { name: 'c' } } },
    ],
  ],
  ['spec.job.configMapKeyRef.name', 'Required value', [{ job: { configMapKeyRef: { key: 'a' } } }]],
  [
    'spec.job.configMapKeyRef.name',
    A_NAME,
    [{ job: { configMapKeyRef: { name: '' } } }, { job: { configMapKeyRef: { name: 'My_Config' } } }],
  ],
  [
    '',
    'unknown field "spec.job.configMapKeyRef.namespace"',
    [{ job: { configMapKeyRef: { name: 'c', namespace: 'other' } } }],
  ],
  [
    'spec.job.configMapKeyRef.key',
    'should be at least 1 chars long',
    [{ job: { configMapKeyRef: { name: 'c', key: '' } } }],
  ],
  [
    'spec.job.args',
    'must be of type object',
    [{ job: { inline, args: ['a'] } }, { job: { inline, args: 'input=a' } }],
  ],
  ['', 'unknown field "spec.job.source"', [{ job: { inline, source: 'a' } }]],
  ['spec.image', 'should be at least 1 chars long', [{ image: '' }]],
  ['spec.image', 'must be of type string', [{ image: 1.5 }]],
  [
    'spec.imagePullPolicy',
    'Unsupported value: "always": supported values: "Always", "IfNotPresent", "Never"',
    [{ imagePullPolicy: 'always' }],
  ],
  ['spec.imagePullSecrets[0]', 'must be of type object', [{ imagePullSecrets: ['regcred'] }]],
  ['spec.imagePullSecrets[1]', 'Duplicate value', [{ imagePullSecrets: [{ name: 'a' }, { name: 'a' }] }]],
  ['spec.imagePullSecrets[0].name', A_NAME, [{ imagePullSecrets: [{ name: 'A B' }] }]],
  ['spec.serviceAccountName', A_NAME, [{ serviceAccountName: 'My Account' }]],
  ['', 'unknown field "spec.env.A"', [{ env: { A: '1' } }]],
  [
    'spec.env[0].value',
    'must be of type string',
    [{ env: [{ name: 'A', value: 1 }] }, { env: [{ name: 'A', value: true }] }],
  ],
  ['spec.env[0].name', 'Required value', [{ env: [{ value: '1' }] }]],
  ['spec.env[0].name', 'should be at least 1 chars long', [{ env: [{ name: '', value: '1' }] }]],
  ['', 'unknown field "spec.env[0].val"', [{ env: [{ name: 'A', val: '1' }] }]],
  [
    'spec.env[0]',
    'only one of value and valueFrom may be set',
    [{ env: [{ name: 'A', value: '1', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }] }],
  ],
  [
    'spec.env[0].name',
    'must be the name of a variable, without "="',
    [{ env: [{ name: 'A=B', value: '1' }] }],
  ],
  ['spec.envFrom[0]', 'must be of type object', [{ envFrom: ['secret'] }]],
  ['spec.envFrom[0].secretRef.name', A_NAME, [{ envFrom: [{ secretRef: { name: 'A_b' } }] }]],
  [
    'spec.envFrom[0]',
    'exactly one of configMapRef and secretRef must be set',
    [
      { envFrom: [{ prefix: 'X_' }] },
      { envFrom: [{ configMapRef: { name: 'a' }, secretRef: { name: 'b' } }] },
    ],
  ],
  [
    'spec.state',
    'Unsupported value: "running": supported values: "Running", "Suspended", "Drained"',
    [{ state: 'running' }],
  ],
  ['spec.state', 'must be of type string', [{ state: true }]],
  ['spec.parallelism', 'should be greater than or equal to 1', [{ parallelism: 0 }, { parallelism: -1 }]],
  ['spec.parallelism', 'must be of type integer', [{ parallelism: '4' }, { parallelism: 2.5 }]],
  [
    'spec.parallelism',
    'parallelism must not be greater than maxParallelism',
    [{ parallelism: 40000, maxParallelism: 32768 }, { parallelism: 129 }],
  ],
  ['spec.maxParallelism', 'should be greater than or equal to 1', [{ maxParallelism: 0 }]],
  ['spec.maxParallelism', 'should be less than or equal to 32768', [{ maxParallelism: 65536 }]],
  ['spec.storage.s3', 'Required value', [{ storage: {} }]],
  ['', 'unknown field "spec.storage.gcs"', [{ storage: { gcs: { bucket: 'b' } } }]],
  ['spec.storage.s3.bucket', 'Required value', [{ storage: { s3: {} } }]],
  ['spec.storage.s3.bucket', 'should be at least 3 chars long', [{ storage: { s3: { bucket: 'ab' } } }]],
  [
    'spec.storage.s3.bucket',
    'must be the name of a bucket, such as "streams": no URL, no "/", no upper-case letters',
    [
      { storage: { s3: { bucket: 's3://streams' } } },
      { storage: { s3: { bucket: 'streams/prod' } } },
      { storage: { s3: { bucket: 'Streams' } } },
    ],
  ],
  [
    'spec.storage.s3.prefix',
    'must be a key prefix such as "prod/weir", without leading or trailing "/", "//" or ".."',
    [
      { storage: { s3: { bucket: 'streams', prefix: 'a/' } } },
      { storage: { s3: { bucket: 'streams', prefix: 'a//b' } } },
      { storage: { s3: { bucket: 'streams', prefix: 'a/../b' } } },
    ],
  ],
  [
    'spec.storage.s3.endpoint',
    'must be an http:// or https:// URL without credentials',
    [
      { storage: { s3: { bucket: 'streams', endpoint: 'http://key:secret@s3:9000' } } },
      { storage: { s3: { bucket: 'streams', endpoint: 'ftp://s3' } } },
      { storage: { s3: { bucket: 'streams', endpoint: 'http://s3 :9000' } } },
      { storage: { s3: { bucket: 'streams', endpoint: '' } } },
    ],
  ],
  [
    'spec.storage.s3.region',
    'should be at least 1 chars long',
    [{ storage: { s3: { bucket: 'streams', region: '' } } }],
  ],
  [
    'spec.storage.s3.forcePathStyle',
    'must be of type boolean',
    [{ storage: { s3: { bucket: 'streams', forcePathStyle: 'yes' } } }],
  ],
  [
    'spec.storage.s3.credentialsSecretRef',
    'must be of type object',
    [{ storage: { s3: { bucket: 'streams', credentialsSecretRef: 's3' } } }],
  ],
  [
    '',
    'unknown field "spec.storage.s3.credentialsSecretRef.namespace"',
    [{ storage: { s3: { bucket: 'streams', credentialsSecretRef: { name: 's3', namespace: 'x' } } } }],
  ],
  [
    '',
    'unknown field "spec.storage.s3.accessKeyId"',
    [{ storage: { s3: { bucket: 'streams', accessKeyId: 'A', secretAccessKey: 'B' } } }],
  ],
  [
    'spec.storage.s3.caConfigMapKeyRef',
    'must be of type object',
    [{ storage: { s3: { bucket: 'streams', caConfigMapKeyRef: 'ca' } } }],
  ],
  ['spec.redis', 'must be of type object', [{ redis: 'redis://redis:6379' }]],
  ['spec.redis.url', 'Required value', [{ redis: {} }]],
  [
    'spec.redis.url',
    'must be a redis:// or rediss:// URL without credentials; put them into credentialsSecretRef',
    [
      { redis: { url: 'redis:6379' } },
      { redis: { url: 'http://redis' } },
      { redis: { url: 'redis+sentinel://a,b/mymaster' } },
    ],
  ],
  [
    'spec.redis.keyPrefix',
    'should be at least 1 chars long',
    [{ redis: { url: 'redis://r', keyPrefix: '' } }],
  ],
  ['', 'unknown field "spec.redis.password"', [{ redis: { url: 'redis://r', password: 'x' } }]],
  [
    'spec.checkpoint.interval',
    A_DURATION,
    [
      { checkpoint: { interval: '' } },
      { checkpoint: { interval: '10 s' } },
      { checkpoint: { interval: '1d' } },
      { checkpoint: { interval: '-1s' } },
      { checkpoint: { interval: '10S' } },
      { checkpoint: { interval: '1.5s' } },
      { checkpoint: { interval: 'PT10S' } },
      { checkpoint: { interval: 'ten' } },
    ],
  ],
  [
    'spec.checkpoint.timeout',
    A_DURATION,
    [{ checkpoint: { timeout: '1d' } }, { checkpoint: { timeout: '-1s' } }],
  ],
  [
    'spec.checkpoint.minPause',
    A_DURATION,
    [{ checkpoint: { minPause: '1d' } }, { checkpoint: { minPause: '-1s' } }],
  ],
  [
    'spec.checkpoint.interval',
    'must be between 10ms and 8760h',
    [{ checkpoint: { interval: '0s' } }, { checkpoint: { interval: '9000h' } }],
  ],
  [
    'spec.checkpoint.minPause',
    'minPause must be shorter than timeout',
    [
      { checkpoint: { timeout: '1ms' } },
      { checkpoint: { minPause: '1m', timeout: '1m' } },
      { checkpoint: { minPause: '6m' } },
    ],
  ],
  [
    'spec.checkpoint.tolerableFailures',
    'should be greater than or equal to 0',
    [{ checkpoint: { tolerableFailures: -1 } }],
  ],
  [
    'spec.checkpoint.tolerableFailures',
    'must be of type integer',
    [{ checkpoint: { tolerableFailures: 'unlimited' } }],
  ],
  ['spec.checkpoint.retain', 'should be greater than or equal to 1', [{ checkpoint: { retain: -1 } }]],
  ['spec.checkpoint.retain', 'should be less than or equal to 1000', [{ checkpoint: { retain: 1001 } }]],
  ['', 'unknown field "spec.checkpoint.mode"', [{ checkpoint: { mode: 'ExactlyOnce' } }]],
  ['spec.checkpoint', 'must be of type object', [{ checkpoint: '10s' }]],
  ['spec.checkpoint.retain', 'must be of type integer', [{ checkpoint: { retain: '3' } }]],
  [
    'spec.restart.strategy',
    'Unsupported value: "exponential-delay": supported values: "ExponentialDelay", "FailureRate"',
    [{ restart: { strategy: 'exponential-delay' } }],
  ],
  [
    'spec.restart.strategy',
    'Unsupported value: "Never": supported values: "ExponentialDelay", "FailureRate"',
    [{ restart: { strategy: 'Never' } }],
  ],
  ['spec.restart.delay', A_DURATION, [{ restart: { delay: '5' } }]],
  ['spec.restart.delay', 'delay must not be longer than maxDelay', [{ restart: { delay: '2m' } }]],
  ['spec.restart.window', 'must be between 1ms and 8760h', [{ restart: { window: '0s' } }]],
  ['spec.restart.maxAttempts', 'should be greater than or equal to 0', [{ restart: { maxAttempts: -1 } }]],
  ['spec.restart.maxAttempts', 'must be of type integer', [{ restart: { maxAttempts: '3' } }]],
  ['', 'unknown field "spec.restart.attempts"', [{ restart: { attempts: 3 } }]],
  [
    'spec.upgrade.mode',
    'Unsupported value: "savepoint": supported values: "LastCheckpoint", "Savepoint"',
    [{ upgrade: { mode: 'savepoint' } }],
  ],
  ['', 'unknown field "spec.upgrade.strategie"', [{ upgrade: { strategie: 'Surge' } }]],
  [
    'spec.restore',
    'exactly one of savepointRef, path and empty must be set',
    [{ restore: {} }, { restore: { empty: true, path: 's3://a/b', savepointRef: { name: 'a' } } }],
  ],
  [
    'spec.restore.empty',
    'Unsupported value: false: supported values: "true"',
    [{ restore: { empty: false } }],
  ],
  ['spec.restore.savepointRef', 'must be of type object', [{ restore: { savepointRef: 'before' } }]],
  [
    'spec.restore.path',
    'must be an s3:// URL of a savepoint directory or of the manifest.json of a checkpoint',
    [{ restore: { path: 'https://a/b' } }, { restore: { path: 'a/b' } }],
  ],
  [
    'spec.restore.allowNonRestoredState',
    'must be of type boolean',
    [{ restore: { empty: true, allowNonRestoredState: 'true' } }],
  ],
  ['spec.restore.nonce', 'must be of type string', [{ restore: { empty: true, nonce: 1 } }]],
  [
    '',
    'unknown field "spec.restore.savepointRef.namespace"',
    [{ restore: { savepointRef: { name: 'a', namespace: 'b' } } }],
  ],
  ['spec.jobManager.replicas', 'should be greater than or equal to 1', [{ jobManager: { replicas: 0 } }]],
  ['spec.jobManager.replicas', 'should be less than or equal to 5', [{ jobManager: { replicas: 6 } }]],
  ['spec.taskManager.replicas', 'should be greater than or equal to 1', [{ taskManager: { replicas: -1 } }]],
  [
    'spec.taskManager.replicas',
    'should be less than or equal to 1000',
    [{ taskManager: { replicas: 1001 } }],
  ],
  ['spec.taskManager.replicas', 'must be of type integer', [{ taskManager: { replicas: '2' } }]],
  ['spec.taskManager.slots', 'should be less than or equal to 64', [{ taskManager: { slots: 65 } }]],
  [
    '',
    'unknown field "spec.taskManager.resources.memory"',
    [{ taskManager: { resources: { memory: '1Gi' } } }],
  ],
  [
    'spec.taskManager.resources.limits[memory]',
    'must be a quantity such as "500m", "2" or "1Gi"',
    [
      { taskManager: { resources: { limits: { memory: '1GB' } } } },
      { taskManager: { resources: { limits: { memory: 'lots' } } } },
    ],
  ],
  [
    'spec.jobManager.resources.requests[cpu]',
    'must be a quantity such as "500m", "2" or "1Gi"',
    [
      { jobManager: { resources: { requests: { cpu: 'half' } } } },
      { jobManager: { resources: { requests: { cpu: '-1' } } } },
    ],
  ],
  [
    'spec.taskManager.resources.requests',
    'requests.memory must not be more than limits.memory',
    [{ taskManager: { resources: { requests: { memory: '2Gi' }, limits: { memory: '1Gi' } } } }],
  ],
  [
    'spec.taskManager.resources.limits',
    'limits.memory must be at least 64Mi; megabytes are "Mi", "m" is a thousandth',
    [{ taskManager: { resources: { limits: { memory: '1Mi' } } } }],
  ],
  ['', 'unknown field "spec.taskManager.count"', [{ taskManager: { count: 2 } }]],
  ['spec.podTemplate', 'must be of type object', [{ podTemplate: [] }]],
  [
    '',
    'unknown field "spec.podTemplate.spec.containers.a"',
    [{ podTemplate: { spec: { containers: { a: 1 } } } }],
  ],
  [
    'spec.podTemplate.spec.containers[0].name',
    'Required value',
    [{ podTemplate: { spec: { containers: [{ image: 'a' }] } } }],
  ],
  [
    'spec.podTemplate.metadata.labels.a',
    'must be of type string',
    [{ podTemplate: { metadata: { labels: { a: 1 } } } }],
  ],
  [
    'spec.podTemplate.spec.volumes[0].name',
    'Required value',
    [{ podTemplate: { spec: { volumes: [{ emptyDir: {} }] } } }],
  ],
  [
    'spec.logLevel',
    'Unsupported value: "debug": supported values: "Trace", "Debug", "Info", "Warn", "Error"',
    [{ logLevel: 'debug' }],
  ],
  [
    'spec.logLevel',
    'Unsupported value: "Verbose": supported values: "Trace", "Debug", "Info", "Warn", "Error"',
    [{ logLevel: 'Verbose' }],
  ],
  ['', 'unknown field "spec.replicas"', [{ replicas: 3 }]],
  ['', 'unknown field "spec.flinkConfiguration"', [{ flinkConfiguration: { a: 'b' } }]],
]

/** Of Savepoints. */
export const BAD_SAVEPOINTS: readonly BadSpecs[] = [
  [
    'spec',
    'exactly one of streamJobRef and existingPath must be set',
    [{ streamJobRef: { name: 'a' }, existingPath: 's3://a' }],
  ],
  ['spec.streamJobRef', 'must be of type object', [{ streamJobRef: 'a' }]],
  ['spec.streamJobRef.name', 'Required value', [{ streamJobRef: {} }]],
  ['', 'unknown field "spec.streamJobRef.namespace"', [{ streamJobRef: { name: 'a', namespace: 'b' } }]],
  ['spec.streamJobRef.name', A_NAME, [{ streamJobRef: { name: 'A B' } }]],
  [
    'spec.existingPath',
    'must be an s3:// URL',
    [{ existingPath: 'http://a' }, { existingPath: '/a' }, { existingPath: '' }],
  ],
  [
    'spec.path',
    'path is where a new savepoint is written and needs streamJobRef',
    [{ existingPath: 's3://a', path: 's3://b' }],
  ],
  ['spec.path', 'must be an s3:// URL', [{ streamJobRef: { name: 'a' }, path: '/tmp' }]],
  [
    'spec.backoffLimit',
    'should be greater than or equal to 0',
    [{ streamJobRef: { name: 'a' }, backoffLimit: -1 }],
  ],
  [
    'spec.backoffLimit',
    'should be less than or equal to 100',
    [{ streamJobRef: { name: 'a' }, backoffLimit: 101 }],
  ],
  ['spec.timeout', A_DURATION, [{ streamJobRef: { name: 'a' }, timeout: '10' }]],
  ['spec.timeout', 'must be between 1000ms and 8760h', [{ streamJobRef: { name: 'a' }, timeout: '1ms' }]],
  ['', 'unknown field "spec.job"', [{ job: { name: 'a' } }]],
]
