/**
 * Configuration of the operator's process: a JSON file, its path in WEIR_OPERATOR_CONFIG.
 * `defaults` fill what a StreamJob leaves out; Secrets are named, never included. Unknown keys are
 * refused, all problems are reported at once.
 */
import { WeirError, messageOf } from '#runtime/base/errors'
import * as z from 'zod'
import { problemsOf } from './api/manifest.ts'
import { resources } from './api/schema.ts'
import { OWN_VARIABLES } from './api/v1alpha1/pods.ts'

const defaultStorage = z.strictObject({
  s3: z.strictObject({
    bucket: z.string().min(3).describe('Bucket of jobs that name none.'),
    prefix: z.string().default('').describe('Key prefix in the bucket.'),
    endpoint: z.string().optional().describe('URL of an S3-compatible server. Default: AWS.'),
    region: z.string().default('us-east-1').describe('Region of the bucket.'),
    forcePathStyle: z.boolean().default(false).describe('Address the bucket in the path.'),
    credentialsSecret: z
      .string()
      .optional()
      .describe(
        "Secret in the operator's namespace; " +
          'copied into an owned Secret next to each job that uses the default storage.',
      ),
    caBundle: z.string().optional().describe('Certificate authority of the endpoint, PEM.'),
  }),
})

const defaultRedis = z.strictObject({
  url: z.string().describe('redis:// or rediss:// without credentials.'),
  credentialsSecret: z
    .string()
    .optional()
    .describe(
      "Secret in the operator's namespace with password and optionally username; copied like the storage's.",
    ),
  caBundle: z.string().optional().describe('Certificate authority of the server, PEM.'),
  keyPrefix: z.string().min(1).default('weir').describe('First part of every key.'),
})

export const operatorDefaults = z.strictObject({
  image: z.string().min(1).describe('Image of jobs that name none; it contains the runtime.'),
  imagePullSecrets: z
    .array(z.strictObject({ name: z.string() }))
    .default([])
    .describe('Used where a job names none.'),
  storage: defaultStorage.optional(),
  redis: defaultRedis.optional(),
  resources: z
    .strictObject({ jobManager: resources().optional(), taskManager: resources().optional() })
    .prefault({})
    .describe('Resources of pods of jobs that name none.'),
  env: z
    .array(
      z.strictObject({
        name: z
          .string()
          .refine((name) => !OWN_VARIABLES.includes(name), { message: 'is set by the operator itself' }),
        value: z.string(),
      }),
    )
    .default([])
    .describe('Environment variables of all pods, before those of the job.'),
})
export type OperatorDefaults = z.infer<typeof operatorDefaults>

export const operatorConfig = z.strictObject({
  logLevel: z
    .enum(['Trace', 'Debug', 'Info', 'Warn', 'Error'])
    .default('Info')
    .describe('Lines below this level are not written.'),
  namespace: z
    .string()
    .min(1)
    .optional()
    .describe(
      "The operator's own namespace. Default: POD_NAMESPACE, else the one of the kubeconfig's context.",
    ),
  watchNamespaces: z
    .array(z.string().min(1))
    .default([])
    .describe('Namespaces whose jobs are served. Empty: all.'),
  clusterId: z
    .string()
    .min(1)
    .optional()
    .describe('Identity of the cluster in the storage. Default: the uid of namespace kube-system.'),
  server: z
    .strictObject({ host: z.string().default('0.0.0.0'), port: z.int().min(0).max(65_535).default(8080) })
    .prefault({})
    .describe('Health and metrics: /healthz, /readyz, /metrics.'),
  lease: z
    .strictObject({
      enabled: z
        .boolean()
        .default(true)
        .describe('Elect one of several replicas. False: this process acts without asking.'),
      name: z
        .string()
        .min(1)
        .default('weir-operator')
        .describe("Name of the Lease in the operator's namespace."),
      durationMs: z
        .int()
        .min(1000)
        .default(15_000)
        .describe('A leader that has not renewed for this long is replaced.'),
      renewDeadlineMs: z
        .int()
        .min(500)
        .default(10_000)
        .describe('A leader that cannot renew for this long stops.'),
      retryMs: z.int().min(100).default(2000).describe('Time between attempts to take or renew it.'),
    })
    .refine((lease) => lease.renewDeadlineMs < lease.durationMs, {
      message: 'must be less than durationMs, else two operators act at once',
      path: ['renewDeadlineMs'],
    })
    .prefault({}),
  workers: z
    .int()
    .min(1)
    .max(64)
    .default(4)
    .describe('Objects that are reconciled at the same time, per kind.'),
  resyncMs: z.int().min(1000).default(600_000).describe('Every object is looked at again at this interval.'),
  tokenKeySecret: z
    .string()
    .min(1)
    .default('weir-operator-token-key')
    .describe(
      "Secret in the operator's namespace from which the tokens of jobs are derived; made on first start.",
    ),
  defaults: operatorDefaults,
})
export type OperatorConfig = z.infer<typeof operatorConfig>

/** @throws {WeirError} CFG_INVALID with every problem. */
export function parseOperatorConfig(text: string, fileName: string): OperatorConfig {
  let data: unknown
  try {
    data = JSON.parse(text)
  } catch (error) {
    throw new WeirError('CFG_INVALID', `${fileName} is not JSON: ${messageOf(error)}`, {
      cause: error,
    })
  }
  const result = operatorConfig.safeParse(data)
  if (result.success) return result.data
  const lines = problemsOf(result.error).map((p) => `${p.path}: ${p.message}`)
  throw new WeirError('CFG_INVALID', `${fileName} is not valid:\n  ${lines.join('\n  ')}`)
}
