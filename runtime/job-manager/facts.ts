import { VERSION } from '#runtime/contract/version'
import type { CheckpointView, CheckpointsView, JobFacts, VertexView } from '#runtime/contract/rest'
import type { CheckpointCoordinator } from '#runtime/checkpoint/coordinator'
import { subtaskKey, type SubtaskMetrics } from '#runtime/contract/rpc'
import type { ExecutionPlan } from '#runtime/contract/job-plan'
import type { JobMaster } from './job-master.ts'
import { slotsWanted } from './scheduler.ts'
import type { TaskManagerRegistry } from './task-manager-registry.ts'

/** What the facts are gathered from; everything but the configuration may be absent. */
export interface FactSources {
  readonly job: JobFacts['job']
  readonly run: number
  readonly id: string
  readonly epoch: number
  readonly storagePath: string
  readonly plan: ExecutionPlan | undefined
  readonly parallelism: number
  readonly master: JobMaster | undefined
  readonly registry: TaskManagerRegistry
  readonly rates: RecordRates
  /** State outside a leadership: standing by, failed before it could lead, or over. */
  readonly idle: Pick<JobFacts, 'state' | 'stateSince' | 'message' | 'error' | 'leader'>
}

export function gatherFacts(s: FactSources): JobFacts {
  const { master, registry } = s
  const taskManagers = registry.list
  const metrics = taskManagers.flatMap((t) => t.metrics)
  const views = registry.views()
  return {
    version: VERSION,
    job: s.job,
    run: s.run,
    leading: master !== undefined,
    leader: master === undefined ? s.idle.leader : s.id,
    epoch: s.epoch,
    attempt: master?.attempt,
    state: master?.state ?? s.idle.state,
    stateSince: master?.stateSince ?? s.idle.stateSince,
    message: master?.message ?? s.idle.message,
    error: master === undefined ? s.idle.error : master.error,
    restarts: master?.restarts ?? 0,
    parallelism: s.parallelism,
    slots: {
      free: sum(views, (v) => v.freeSlots),
      total: sum(views, (v) => v.slots),
      wanted: s.plan === undefined ? 0 : slotsWanted(s.plan),
    },
    taskManagers: taskManagers.length,
    planHash: s.plan?.hash,
    guarantee: s.plan?.guarantee,
    storagePath: s.storagePath,
    restoredFrom: master?.restoredFrom,
    records: s.rates.update(s.plan, metrics),
    checkpoint: checkpointFacts(master?.coordinator),
    operations: master?.operations.views ?? [],
    recoveries: master?.recoveries.views ?? [],
  }
}

function checkpointFacts(coordinator: CheckpointCoordinator | undefined): JobFacts['checkpoint'] {
  const last = coordinator?.history.find((c) => c.status === 'COMPLETED' && !c.is_savepoint)
  return {
    phase: coordinator?.phase ?? 'IDLE',
    inProgress: coordinator?.inProgress,
    completed: coordinator?.counts.completed ?? 0,
    failed: coordinator?.counts.failed ?? 0,
    consecutiveFailures: coordinator?.consecutiveFailures ?? 0,
    last:
      last === undefined
        ? undefined
        : {
            id: last.id,
            completedAt: last.trigger_timestamp + last.end_to_end_duration,
            path: last.external_path ?? '',
            sizeBytes: last.state_size,
            durationMs: Math.round(last.end_to_end_duration),
          },
    lastFailure: coordinator?.lastFailure,
  }
}

export function checkpointsView(coordinator: CheckpointCoordinator | undefined): CheckpointsView {
  const history = (coordinator?.history ?? []).map(({ subtasks: _, ...view }): CheckpointView => view)
  return {
    counts: coordinator?.counts ?? { restored: 0, total: 0, in_progress: 0, completed: 0, failed: 0 },
    latest: {
      completed: history.find((c) => c.status === 'COMPLETED' && !c.is_savepoint),
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
  const metrics = new Map(registry.list.flatMap((t) => t.metrics).map((m) => [subtaskKey(m), m]))
  const places = new Map((master?.places ?? []).map((p) => [subtaskKey(p), p]))
  return (plan?.vertices ?? []).map((vertex) => ({
    id: vertex.id,
    name: vertex.name,
    parallelism: vertex.parallelism,
    subtasks: Array.from({ length: vertex.parallelism }, (_, subtask) => {
      const key = subtaskKey({ vertex: vertex.id, subtask })
      const m = metrics.get(key)
      return {
        subtask,
        taskManager: places.get(key)?.taskManager ?? '',
        state: master?.finishedSubtasks.has(key)
          ? 'Finished'
          : master?.state === 'Running' || master?.state === 'Stopping'
            ? 'Running'
            : 'Deploying',
        recordsIn: m?.recordsIn ?? 0,
        recordsOut: m?.recordsOut ?? 0,
        busyRatio: ratio(m?.busyMs),
        backPressuredRatio: ratio(m?.backPressuredMs),
        watermark: m === undefined || !Number.isFinite(m.watermark) ? null : m.watermark,
      }
    }),
  }))
}

/** Kinds of plan operators by which records are counted (graph/logical-graph.ts). */
const SOURCE_KIND = 'read'
const SINK_KIND = 'sink'
const REPORT_MS = 500
const ratio = (ms: number | undefined): number => Math.min(1, Math.round(((ms ?? 0) / REPORT_MS) * 100) / 100)
const sum = <T>(items: readonly T[], of: (item: T) => number): number =>
  items.reduce((total, item) => total + of(item), 0)

/**
 * Records that entered and left the running attempt, and how many enter a second, smoothed over a
 * few reports. What an attempt did stays until the next one reports.
 */
export class RecordRates {
  readonly #monotonic: () => number
  #totals = { in: 0, out: 0 }
  #sampled = { in: 0, at: 0 }
  #perSecond = 0

  constructor(monotonic: () => number) {
    this.#monotonic = monotonic
    this.#sampled.at = monotonic()
  }

  update(plan: ExecutionPlan | undefined, metrics: readonly SubtaskMetrics[]): JobFacts['records'] {
    if (plan !== undefined && metrics.length > 0) {
      const having = (kind: string) =>
        new Set(plan.vertices.filter((v) => v.operators.some((o) => o.kind === kind)).map((v) => v.id))
      const [sources, sinks] = [having(SOURCE_KIND), having(SINK_KIND)]
      this.#totals = {
        in: sum(metrics, (m) => (sources.has(m.vertex) ? m.recordsIn : 0)),
        out: sum(metrics, (m) => (sinks.has(m.vertex) ? m.recordsIn : 0)),
      }
    }
    this.#sample()
    return { ...this.#totals, perSecond: Math.round(this.#perSecond) }
  }

  #sample(): void {
    const now = this.#monotonic()
    const elapsedMs = now - this.#sampled.at
    if (elapsedMs < REPORT_MS) return
    const rate = Math.max(0, ((this.#totals.in - this.#sampled.in) * 1000) / elapsedMs)
    this.#perSecond = 0.5 * this.#perSecond + 0.5 * rate
    this.#sampled = { in: this.#totals.in, at: now }
  }
}
