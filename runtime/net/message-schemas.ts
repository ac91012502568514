/**
 * The shapes of control messages as they are checked on arrival: what a peer sends may be anything,
 * and nothing behind the check looks again. The types of contract/rpc.ts keep these complete: a
 * field that is missing here does not compile. Fields that are not named are dropped.
 */
import * as z from 'zod'
import { isErrorCode, type ErrorCode, type ErrorData } from '#runtime/base/errors'
import { restorePoint, storedState, subtaskState } from '#runtime/contract/checkpoint-records'
import { attemptId, checkpointId, checkpointIdOrNone, epochOrNone, runNumber } from '#runtime/contract/ids'
import type { ExecutionPlan, PlanState } from '#runtime/contract/job-plan'
import type {
  Barrier,
  Deployment,
  ExecutionReport,
  FromJobManager,
  FromTaskManager,
  SubtaskAck,
  SubtaskDecline,
} from '#runtime/contract/rpc'

const count = z.int().nonnegative()
const orAbsent = <T extends z.ZodType>(schema: T) => z.union([schema, z.undefined()])
/** Metrics and durations; event time reaches both infinities. */
const anyNumber = z.custom<number>((value) => typeof value === 'number', 'expected a number')

const errorData: z.ZodType<ErrorData> = z.object({
  code: z.custom<ErrorCode>(isErrorCode, 'expected an error code'),
  message: z.string(),
  retry: z.enum(['never', 'backoff', 'restart-task', 'restart-job']),
  context: z.record(z.string(), z.unknown()),
  stack: z.string().exactOptional(),
})

const subtaskRef = z.object({ vertex: z.string(), subtask: count })
const place = subtaskRef.extend({ taskManager: z.string(), slot: count })
const subtaskMetrics = subtaskRef.extend({
  recordsIn: anyNumber,
  recordsOut: anyNumber,
  recordsWritten: anyNumber,
  busyMs: anyNumber,
  backPressuredMs: anyNumber,
  watermark: anyNumber,
  lateDropped: anyNumber,
  badRecords: anyNumber,
  skippedCommits: anyNumber,
  leftPending: anyNumber,
})

const report: z.ZodType<ExecutionReport> = z.object({
  attempt: attemptId,
  planHash: z.string(),
  places: z.array(place),
  state: z.enum(['Deploying', 'Running', 'Stopped', 'Failed']),
  highestCheckpointId: checkpointIdOrNone,
})

const ack: z.ZodType<SubtaskAck> = subtaskRef.extend({
  attempt: attemptId,
  epoch: epochOrNone,
  checkpointId: checkpointIdOrNone,
  uids: z.array(z.string()),
  states: z.array(storedState),
  state: subtaskState,
  sizeBytes: count,
  deltaBytes: count,
  alignmentMs: anyNumber,
  syncMs: anyNumber,
  asyncMs: anyNumber,
  uploadMs: anyNumber,
})

const decline: z.ZodType<SubtaskDecline> = subtaskRef.extend({
  attempt: attemptId,
  epoch: epochOrNone,
  checkpointId: checkpointIdOrNone,
  reason: z.enum(['CHECKPOINT_DECLINED', 'CHECKPOINT_ASYNC_EXCEPTION', 'SINK_PREPARE_FAILED']),
  error: errorData,
})

/** What a TaskManager may say to a JobManager. */
export const fromTaskManager: z.ZodType<FromTaskManager> = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('hello'),
    wire: z.int(),
    version: z.string(),
    token: z.string(),
    jobUid: z.string(),
    run: runNumber,
    id: z.string().min(1),
    slots: z.int().positive(),
    dataAddress: z.string(),
  }),
  z.object({
    type: z.literal('heartbeat'),
    freeSlots: z.int(),
    attempt: orAbsent(attemptId),
    progress: orAbsent(z.object({ restoredBytes: count, steps: count })),
    subtasks: z.array(subtaskMetrics),
    standstills: z.array(
      z.object({ kind: z.enum(['operator', 'store', 'source']), forMs: anyNumber, message: z.string() }),
    ),
  }),
  z.object({ type: z.literal('execution'), epoch: epochOrNone, report: orAbsent(report) }),
  z.object({ type: z.literal('deployed'), attempt: attemptId, restoreMs: anyNumber }),
  z.object({ type: z.literal('deployFailed'), attempt: attemptId, error: errorData }),
  z.object({ type: z.literal('firstRecord'), attempt: attemptId }),
  z.object({ type: z.literal('finished'), attempt: attemptId, subtask: subtaskRef }),
  z.object({
    type: z.literal('failed'),
    attempt: attemptId,
    subtask: orAbsent(subtaskRef),
    error: errorData,
  }),
  z.object({ type: z.literal('ack'), ack }),
  z.object({ type: z.literal('decline'), decline }),
  z.object({
    type: z.literal('committed'),
    attempt: attemptId,
    subtask: subtaskRef,
    checkpointId: checkpointIdOrNone,
  }),
  z.object({ type: z.literal('fenced'), epoch: epochOrNone }),
  z.object({ type: z.literal('leaving'), why: z.string() }),
])

const planState: z.ZodType<PlanState> = z.object({
  name: z.string(),
  kind: z.string(),
  formerly: z.array(z.string()),
  version: z.int().positive(),
  holds: z.string().optional(),
  schema: z.string().optional(),
})

const plan: z.ZodType<ExecutionPlan> = z.object({
  hash: z.string(),
  maxParallelism: z.int().positive(),
  vertices: z.array(
    z.object({
      id: z.string(),
      name: z.string(),
      parallelism: z.int().positive(),
      operators: z.array(
        z.object({
          id: z.string(),
          uid: z.string(),
          kind: z.string(),
          stateful: z.boolean(),
          description: z.string(),
          formerly: z.array(z.string()),
          location: z.string(),
          states: z.array(planState),
        }),
      ),
    }),
  ),
  edges: z.array(
    z.object({
      id: z.int(),
      from: z.string(),
      to: z.string(),
      partition: z.enum(['forward', 'rebalance', 'hash', 'broadcast']),
      fromOperator: count,
    }),
  ),
  guarantee: z.enum(['exactly-once', 'at-least-once']),
})

const deployment: z.ZodType<Deployment> = z.object({
  attempt: attemptId,
  planHash: z.string(),
  plan,
  parallelism: z.int().positive(),
  module: z.object({
    sha256: z.string(),
    name: z.string(),
    source: z.string(),
    args: z.record(z.string(), z.unknown()),
  }),
  places: z.array(place),
  dataAddresses: z.record(z.string(), z.string()),
  restore: restorePoint,
  sinks: z.object({
    committedUpTo: checkpointIdOrNone,
    savepoints: z.array(z.object({ attempt: attemptId, id: checkpointId })),
  }),
})

const barrier: z.ZodType<Barrier> = z.object({
  epoch: epochOrNone,
  id: checkpointId,
  base: checkpointIdOrNone,
  kind: z.enum(['checkpoint', 'savepoint']),
  directory: z.string(),
  stop: z.boolean(),
  drain: z.boolean(),
})

const ofAttempt = z.object({ epoch: epochOrNone, attempt: attemptId })

/** What a JobManager may say to a TaskManager. */
export const fromJobManager: z.ZodType<FromJobManager> = z.discriminatedUnion('type', [
  z.object({ type: z.literal('welcome'), leader: z.boolean(), epoch: epochOrNone, id: z.string() }),
  z.object({ type: z.literal('deploy'), epoch: epochOrNone, deployment }),
  ofAttempt.extend({ type: z.literal('start') }),
  ofAttempt.extend({ type: z.literal('adopt') }),
  ofAttempt.extend({ type: z.literal('cancel'), why: z.string() }),
  ofAttempt.extend({ type: z.literal('trigger'), barrier }),
  ofAttempt.extend({
    type: z.literal('complete'),
    permit: z.object({ checkpointId: checkpointIdOrNone, epoch: epochOrNone }),
  }),
  ofAttempt.extend({ type: z.literal('abort'), checkpointId: checkpointIdOrNone }),
])
