import type { CheckpointInFlight, FinalizedCheckpoint } from '#runtime/checkpoint/checkpoint-stages'
import { type LogBody, type Manifest } from '#runtime/contract/checkpoint-records'
import type { SubtaskAck, SubtaskDecline } from '#runtime/contract/rpc'
import { checkpointBody, JOB } from './commit-log.ts'

/** What a subtask says; by default subtask 0 of vertex `count`, without state. */
export function subtaskAck(change: Partial<SubtaskAck> = {}): SubtaskAck {
  const { subtask = 0 } = change
  return {
    vertex: 'count',
    subtask,
    attempt: '1.1',
    epoch: 1,
    checkpointId: 1,
    uids: [change.vertex ?? 'count'],
    states: [],
    state: { subtask, keyGroups: [0, 128], chain: [] },
    sizeBytes: 0,
    deltaBytes: 0,
    alignmentMs: 1,
    syncMs: 2,
    asyncMs: 3,
    uploadMs: 4,
    ...change,
  }
}

export function subtaskDecline(change: Partial<SubtaskDecline> = {}): SubtaskDecline {
  return {
    vertex: 'count',
    subtask: 0,
    attempt: '1.1',
    epoch: 1,
    checkpointId: 1,
    reason: 'CHECKPOINT_DECLINED',
    error: { code: 'STO_UNAVAILABLE', message: 'disk full', retry: 'backoff', context: {} },
    ...change,
  }
}

/** The manifest of a job without vertices. */
export function manifestOf(checkpoint: CheckpointInFlight, more: Partial<Manifest> = {}): Manifest {
  const { id, epoch, attempt, base, kind } = checkpoint
  return {
    v: 1,
    type: kind,
    id,
    epoch,
    attempt,
    job: { namespace: JOB.namespace, name: JOB.name, uid: JOB.uid },
    createdAt: 0,
    planHash: 'plan',
    maxParallelism: 128,
    base,
    vertices: [],
    sizeBytes: 0,
    ...more,
  }
}

export function finalizedCheckpoint(checkpoint: CheckpointInFlight): FinalizedCheckpoint {
  const { id, epoch, attempt, base, kind } = checkpoint
  const body = checkpointBody(id, epoch, attempt, { base }) as Extract<LogBody, { kind: 'CHECKPOINT' }>
  return {
    manifest: manifestOf(checkpoint),
    body,
    commits: kind === 'checkpoint',
    result: {
      id,
      epoch,
      type: kind,
      path: `memory://store/chk/${id}-${epoch}`,
      sha256: body.sha256,
      sizeBytes: body.sizeBytes,
      deltaBytes: body.deltaBytes,
      maxParallelism: 128,
    },
    staged: [],
  }
}
