import { VERSION } from '#runtime/contract/version'
import type {
  CheckpointView,
  CheckpointsView,
  JobFacts,
  SubtaskView,
  VertexView,
  WaitView,
} from '#runtime/contract/rest'
import type { CheckpointCoordinator } from '#runtime/checkpoint/coordinator'
import type { Epoch, RunNumber } from '#runtime/contract/ids'
import { type SkippedCounts, subtaskKey, type SubtaskMetrics } from '#runtime/contract/rpc'
import type { ExecutionPlan } from '#runtime/contract/job-plan'
import type { JobMaster, JobView } from './job-master.ts'
import { slotsWanted } from './scheduler.ts'
import { waitsOf } from './waits.ts'
import type { TaskManagerRegistry } from './task-manager-registry.ts'

/** What the facts are gathered from; everything but the configuration may be absent. */
export interface FactSources {
  readonly job: JobFacts['job']
  readonly run: RunNumber
  readonly id: string
  readonly epoch: Epoch
  readonly storagePath: string
  readonly plan: ExecutionPlan | undefined
  readonly parallelism: number
  readonly master: JobMaster | undefined
  readonly registry: TaskManagerRegistry
  readonly rates: RecordRates
  /** Wall clock. */
  readonly now: number
  /** Outside a leadership: standing by, failed before it could lead, or over. */
  readonly idle: Pick<JobFacts, 'state' | 'stateSince' | 'message' | 'error' | 'leader'>
}

export function gatherFacts(sources: FactSources): JobFacts {
  const { registry, plan, job, run, id, epoch, storagePath, parallelism } = sources
  const views = registry.views()
  return {
    version: VERSION,
    job,
    run,
    epoch,
    ...(sources.master === undefined ? standbyFacts(sources.idle) : leaderFacts(sources.master, id)),
    parallelism,
    slots: {
      free: sum(views, (v) => v.freeSlots),
      total: sum(views, (v) => v.slots),
      wanted: plan === undefined ? 0 : slotsWanted(plan),
    },
    taskManagers: views.length,
    planHash: plan?.hash,
    guarantee: plan?.guarantee,
    storagePath,
    waits: sources.master === undefined ? [] : leaderWaits(sources.master, sources),
    ...sources.rates.update(plan, metricsOf(registry)),
  }
}

function leaderWaits(master: JobMaster, { plan, registry, now }: FactSources): readonly WaitView[] {
  const job = master.view()
  const checkpoint = master.coordinator.waiting
  return waitsOf({ job, plan, taskManagers: registry.list, inDoubt: job.inDoubt, checkpoint, now })
}

type OfLeader = Pick<
  JobFacts,
  | 'leading'
  | 'leader'
  | 'attempt'
  | 'state'
  | 'stateSince'
  | 'message'
  | 'error'
  | 'restarts'
  | 'restoredFrom'
  | 'checkpoint'
  | 'operations'
  | 'recoveries'
>

function leaderFacts(master: JobMaster, leader: string): OfLeader {
  const { state, stateSince, message, error, restarts, attempt, restoredFrom } = master.view()
  return {
    leading: true,
    leader,
    attempt,
    state,
    stateSince,
    message,
    error,
    restarts,
    restoredFrom,
    checkpoint: checkpointFacts(master.coordinator),
    operations: master.operations.views,
    recoveries: master.recoveries.views,
  }
}

const standbyFacts = (idle: FactSources['idle']): OfLeader => ({
  leading: false,
  ...idle,
  attempt: undefined,
  restarts: 0,
  restoredFrom: undefined,
  checkpoint: NO_CHECKPOINTS,
  operations: [],
  recoveries: [],
})

const metricsOf = (registry: TaskManagerRegistry): readonly SubtaskMetrics[] =>
  registry.list.flatMap((t) => t.metrics)

const NO_CHECKPOINTS: JobFacts['checkpoint'] = {
  phase: 'IDLE',
  inProgress: undefined,
  completed: 0,
  failed: 0,
  consecutiveFailures: 0,
  last: undefined,
  lastFailure: undefined,
}

function checkpointFacts(coordinator: CheckpointCoordinator): JobFacts['checkpoint'] {
  const { phase, inProgress, history, counts, consecutiveFailures, lastFailure } = coordinator
  const { completed, failed } = counts
  const last = history.find(isCompletedCheckpoint)
  return {
    phase,
    inProgress,
    completed,
    failed,
    consecutiveFailures,
    last: last && {
      id: last.id,
      completedAt: last.trigger_timestamp + last.end_to_end_duration,
      path: last.external_path ?? '',
      sizeBytes: last.state_size,
      durationMs: Math.round(last.end_to_end_duration),
    },
    lastFailure,
  }
}

const isCompletedCheckpoint = (c: CheckpointView): boolean => c.status === 'COMPLETED' && !c.is_savepoint

export function checkpointsView(coordinator: CheckpointCoordinator | undefined): CheckpointsView {
  const history = (coordinator?.history ?? []).map(({ subtasks: _, ...view }): CheckpointView => view)
  return {
    counts: coordinator?.counts ?? { restored: 0, total: 0, in_progress: 0, completed: 0, failed: 0 },
    latest: {
      completed: history.find(isCompletedCheckpoint),
      failed: history.find((c) => c.status === 'FAILED'),
      savepoint: history.find((c) => c.status === 'COMPLETED' && c.is_savepoint),
    },
    history,
  }
}

export function vertexViews(
  plan: ExecutionPlan | undefined,
  master: JobMaster | undefined,
  registry: TaskManagerRegistry,
): VertexView[] {
  const job = master?.view()
  const metrics = new Map(metricsOf(registry).map((m) => [subtaskKey(m), m]))
  const places = new Map((job?.places ?? []).map((p) => [subtaskKey(p), p]))
  const subtaskView = (vertex: string, subtask: number): SubtaskView => {
    const key = subtaskKey({ vertex, subtask })
    const taskManager = places.get(key)?.taskManager ?? ''
    return { subtask, taskManager, state: subtaskState(job, key), ...subtaskCounts(metrics.get(key)) }
  }
  return (plan?.vertices ?? []).map(({ id, name, parallelism }) => ({
    id,
    name,
    parallelism,
    subtasks: Array.from({ length: parallelism }, (_, subtask) => subtaskView(id, subtask)),
  }))
}

function subtaskState(job: JobView | undefined, key: string): SubtaskView['state'] {
  if (job?.finished.has(key) === true) return 'Finished'
  return job?.state === 'Running' || job?.state === 'Stopping' ? 'Running' : 'Deploying'
}

function subtaskCounts(
  m: SubtaskMetrics | undefined,
): Omit<SubtaskView, 'subtask' | 'taskManager' | 'state'> {
  if (m === undefined)
    return {
      recordsIn: 0,
      recordsOut: 0,
      busyRatio: 0,
      backPressuredRatio: 0,
      watermark: null,
      ...NOTHING_SKIPPED,
    }
  const { recordsIn, recordsOut, busyMs, backPressuredMs } = m
  const watermark = finite(m.watermark)
  return {
    recordsIn,
    recordsOut,
    busyRatio: ratio(busyMs),
    backPressuredRatio: ratio(backPressuredMs),
    watermark,
    ...skippedBy([m]),
  }
}

const NOTHING_SKIPPED: SkippedCounts = { lateDropped: 0, badRecords: 0, skippedCommits: 0, leftPending: 0 }

const skippedBy = (metrics: readonly SubtaskMetrics[]): SkippedCounts => ({
  lateDropped: sum(metrics, (m) => m.lateDropped),
  badRecords: sum(metrics, (m) => m.badRecords),
  skippedCommits: sum(metrics, (m) => m.skippedCommits),
  leftPending: sum(metrics, (m) => m.leftPending),
})

/** Kinds of plan operators by which records are counted (graph/logical-graph.ts). */
const SOURCE_KIND = 'read'
const SINK_KIND = 'sink'
const REPORT_MS = 500
const ratio = (ms: number): number => Math.min(1, Math.round((ms / REPORT_MS) * 100) / 100)
const sum = <T>(items: readonly T[], of: (item: T) => number): number =>
  items.reduce((total, item) => total + of(item), 0)

/**
 * Records that entered and left the running attempt, how many do so per second, smoothed over a few
 * reports, and what was skipped. What an attempt did stays until the next one reports.
 */
export class RecordRates {
  readonly #monotonic: () => number
  #totals = { in: 0, out: 0 }
  #skipped = NOTHING_SKIPPED
  #watermark: number | null = null
  #sampled = { in: 0, out: 0, at: 0 }
  #perSecond = { in: 0, out: 0 }

  constructor(monotonic: () => number) {
    this.#monotonic = monotonic
    this.#sampled.at = monotonic()
  }

  update(
    plan: ExecutionPlan | undefined,
    metrics: readonly SubtaskMetrics[],
  ): Pick<JobFacts, 'records' | 'skipped' | 'watermark'> {
    if (plan !== undefined && metrics.length > 0) {
      const having = (kind: string) =>
        new Set(plan.vertices.filter((v) => v.operators.some((o) => o.kind === kind)).map((v) => v.id))
      const [sources, sinks] = [having(SOURCE_KIND), having(SINK_KIND)]
      const ofSinks = metrics.filter((m) => sinks.has(m.vertex))
      this.#totals = {
        in: sum(metrics, (m) => (sources.has(m.vertex) ? m.recordsIn : 0)),
        out: sum(metrics, (m) => m.recordsWritten),
      }
      this.#watermark = finite(Math.min(...ofSinks.map((m) => m.watermark)))
      this.#skipped = skippedBy(metrics)
    }
    this.#sample()
    const { in: perSecond, out: outPerSecond } = this.#perSecond
    const records = {
      ...this.#totals,
      perSecond: Math.round(perSecond),
      outPerSecond: Math.round(outPerSecond),
    }
    return { records, skipped: this.#skipped, watermark: this.#watermark }
  }

  #sample(): void {
    const now = this.#monotonic()
    const elapsedMs = now - this.#sampled.at
    if (elapsedMs < REPORT_MS) return
    const smoothed = (what: 'in' | 'out'): number => {
      const rate = Math.max(0, ((this.#totals[what] - this.#sampled[what]) * 1000) / elapsedMs)
      return 0.5 * this.#perSecond[what] + 0.5 * rate
    }
    this.#perSecond = { in: smoothed('in'), out: smoothed('out') }
    this.#sampled = { ...this.#totals, at: now }
  }
}

const finite = (time: number): number | null => (Number.isFinite(time) ? time : null)
