import * as z from 'zod'
import { API_VERSION } from '#operator/api/group'
import { conditions, duration, immutable, objectMeta, objectRef, time, withRules } from '#operator/api/schema'

const s3Url = (what: string) =>
  withRules(
    z.string().min(1).max(2048),
    {
      cel: "self.startsWith('s3://')",
      message: 'must be an s3:// URL',
      holds: (url) => url.startsWith('s3://'),
    },
    immutable(what),
  )

export const savepointSpec = withRules(
  z.strictObject({
    streamJobRef: withRules(objectRef('StreamJob'), immutable('streamJobRef'))
      .optional()
      .describe(
        'The job that it is taken from; exactly one of this and existingPath. ' +
          'While the job starts or restarts, the Savepoint waits; of one that has ended none is taken.',
      ),
    existingPath: s3Url('existingPath')
      .optional()
      .describe(
        'Directory of a savepoint that exists already; an s3:// URL. ' +
          'The operator cannot read it: it is Unverified, and Ready once a job was restored from it.',
      ),
    path: s3Url('path')
      .optional()
      .describe(
        "Directory to write to; an s3:// URL. Default: savepoints/<name>-<uid> below the job's storage.",
      ),
    backoffLimit: z
      .int()
      .min(0)
      .max(100)
      .default(3)
      .describe('Failed attempts after which no further one is made.'),
    timeout: duration(1000).default('10m').describe('Limit of one attempt.'),
  }),
  {
    cel: '[has(self.streamJobRef), has(self.existingPath)].filter(x, x).size() == 1',
    message: 'exactly one of streamJobRef and existingPath must be set',
    holds: (s) => (s.streamJobRef === undefined) !== (s.existingPath === undefined),
  },
  {
    cel: '!has(self.path) || has(self.streamJobRef)',
    message: 'path is where a new savepoint is written and needs streamJobRef',
    holds: (s) => s.path === undefined || s.streamJobRef !== undefined,
    field: 'path',
  },
  {
    cel: ['streamJobRef', 'existingPath', 'path']
      .map((field) => `has(self.${field}) == has(oldSelf.${field})`)
      .join(' && '),
    message:
      'streamJobRef, existingPath and path cannot be added or removed after creation; ' +
      'make a new Savepoint instead',
  },
)
export type SavepointSpec = z.infer<typeof savepointSpec>

export const savepointStatus = z.object({
  observedGeneration: z
    .int()
    .min(0)
    .optional()
    .describe('Generation that the rest of the status was computed for.'),
  conditions: conditions().optional(),
  phase: z
    .enum(['Pending', 'InProgress', 'Unverified', 'Completed', 'Failed'])
    .optional()
    .describe('One word for people. Machines use the conditions.'),
  job: z.string().max(253).optional().describe('Name of the StreamJob that it was taken from.'),
  path: z
    .string()
    .max(2048)
    .optional()
    .describe('Directory of the savepoint; what spec.restore.path of a StreamJob takes.'),
  checkpointId: z.int().min(0).optional().describe('Number of the checkpoint that it was taken as.'),
  formatVersion: z.int().min(0).optional().describe('Version of the format of its files.'),
  maxParallelism: z
    .int()
    .min(0)
    .optional()
    .describe('Number of key groups; a job that is restored from it must have the same.'),
  startedAt: time().optional().describe('When the current attempt began.'),
  completedAt: time().optional().describe('When it was complete.'),
  sizeBytes: z.int().min(0).optional().describe('Size of its files.'),
  failures: z.int().min(0).optional().describe('Failed attempts.'),
  trigger: z.enum(['User', 'Upgrade', 'Suspend', 'Import']).optional().describe('Why it was taken.'),
  jobUid: z.string().max(64).optional().describe('uid of the StreamJob that it was taken from.'),
})
export type SavepointStatus = z.infer<typeof savepointStatus>

export const savepoint = z.strictObject({
  apiVersion: z.literal(API_VERSION),
  kind: z.literal('Savepoint'),
  metadata: objectMeta,
  spec: savepointSpec.describe('What the user wants.'),
  status: savepointStatus.optional().describe('What the operator sees; written by the operator only.'),
})
export type SavepointManifest = z.infer<typeof savepoint>
