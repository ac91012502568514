import * as z from 'zod'
import { conditions, time } from '#operator/api/schema'

const source = () =>
  z.enum(['Spec', 'Defaults']).describe('Who named it: the spec, or the defaults of the operator.')
const access = {
  credentialsSecret: z
    .string()
    .max(253)
    .optional()
    .describe('Secret next to the job that has its credentials.'),
  caConfigMap: z
    .object({
      name: z.string().max(253).describe('Name of the ConfigMap.'),
      key: z.string().max(253).describe('Key in it.'),
    })
    .optional()
    .describe('ConfigMap next to the job with the certificate authority.'),
  caBundle: z
    .string()
    .max(1_048_576)
    .optional()
    .describe("Certificate authority that the operator's defaults gave, PEM."),
}

const resolved = z.object({
  storage: z
    .object({
      source: source(),
      bucket: z.string().max(255).describe('Bucket of checkpoints and savepoints.'),
      prefix: z.string().max(512).describe('Key prefix in the bucket.'),
      endpoint: z.string().max(1024).optional().describe('URL of the server. Absent: AWS.'),
      region: z.string().max(64).describe('Region of the bucket.'),
      forcePathStyle: z.boolean().describe('The bucket is addressed in the path.'),
      ...access,
    })
    .describe(
      'Where the files of the job are: settled by the first run, whatever the defaults become. ' +
        'Only spec.storage together with spec.restore moves a job.',
    ),
  redis: z
    .object({
      source: source(),
      url: z.string().max(1024).describe('Address of the server.'),
      keyPrefix: z.string().max(128).describe('First part of every key.'),
      ...access,
    })
    .optional()
    .describe('Redis of the current run; the next run takes what is named then.'),
})

const outcome = z.enum(['Finished', 'Suspended', 'Drained', 'Failed', 'Superseded'])

const waitKind = z.enum(['Slots', 'Store', 'Checkpoint', 'Code', 'Source'])
export type WaitKind = z.infer<typeof waitKind>

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
      taskManagers: z.int().min(0).optional().describe('TaskManagers that the run was begun with.'),
      ignoredScale: z
        .object({
          taskManagers: z.int().min(0).describe('TaskManagers that were asked for.'),
          generation: z.int().min(0).describe('Generation that asked for them.'),
        })
        .optional()
        .describe('A change of scale after the end of the run: it acts when the job runs again.'),
      restartedAt: z
        .string()
        .max(256)
        .optional()
        .describe('Value of annotation weir.dev/restartedAt that the run was begun with.'),
      stopWantedAt: time()
        .optional()
        .describe('Since when the run is to be stopped with a savepoint and cannot be asked.'),
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
  resolved: resolved
    .optional()
    .describe('What the job uses of what the spec or the defaults of the operator name; without secrets.'),
  storagePath: z.string().max(2048).optional().describe("Root of the job's files."),
  restoredFrom: z
    .string()
    .max(2048)
    .optional()
    .describe('Checkpoint or savepoint that the current run started from.'),
  replicas: z.int().min(0).optional().describe('TaskManager pods.'),
  selector: z.string().max(1024).optional().describe('Selects the TaskManager pods, for autoscalers.'),
  parallelism: z.int().min(0).optional().describe('Parallelism in use.'),
  leader: z.string().max(253).optional().describe('Pod of the leading JobManager.'),
  restarts: z.int().min(0).optional().describe('Restarts of the current run.'),
  skipped: z
    .object({
      lateDropped: z.int().min(0).describe('Records that came after their window had closed.'),
      badRecords: z.int().min(0).describe('Records that a source could not read and left out.'),
      skippedCommits: z
        .int()
        .min(0)
        .describe('Transactions that were committed before and whose output is gone.'),
      leftPending: z
        .int()
        .min(0)
        .describe('Prepared transactions that were left to the job that this one is a fork of.'),
    })
    .optional()
    .describe(
      'What the current attempt has not processed or published. Absent: nothing. ' +
        'Counts of records are refreshed with lastCheckpoint.',
    ),
  waits: z
    .array(
      z.object({
        kind: waitKind.describe(
          'Slots: too few to deploy. Store: it cannot be written, or does not answer. ' +
            'Checkpoint: subtasks that have not done their part. ' +
            "Code: a call of the job's code that does not return. " +
            'Source: one that watches a place where nothing is.',
        ),
        since: time().describe('When it began.'),
        message: z.string().max(1024).describe('What is waited for.'),
      }),
    )
    .max(10)
    .meta({ 'x-kubernetes-list-type': 'atomic' })
    .optional()
    .describe(
      'What the job waits for, the longest first. Absent: nothing, or nothing is known. ' +
        'What is over within a second is left out.',
    ),
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
