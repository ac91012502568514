import { Gauge, Registry } from 'prom-client'
import type { JobFacts, SubtaskView, VertexView } from '#runtime/contract/rest'
import { METRICS, type MetricName } from '#runtime/contract/metric-names'

/**
 * Prometheus text from the facts, gathered when scraped. Label cardinality: one series per metric,
 * per vertex, or per state.
 */
export class JobMetrics {
  readonly #registry = new Registry()
  readonly #gauges: Record<MetricName, Gauge>

  constructor(job: JobFacts['job']) {
    this.#registry.setDefaultLabels({ namespace: job.namespace, job: job.name })
    const entries = Object.entries(METRICS).map(([name, { help, labels }]) => [
      name,
      new Gauge({ name, help, labelNames: [...labels], registers: [this.#registry] }),
    ])
    this.#gauges = Object.fromEntries(entries) as Record<MetricName, Gauge>
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  async render(facts: JobFacts, vertices: readonly VertexView[], now: number): Promise<string> {
    const set = (name: MetricName, value: number) => this.#gauges[name].set(value)
    set('weir_job_leading', facts.leading ? 1 : 0)
    set('weir_job_epoch', facts.epoch)
    this.#gauges.weir_job_state.reset()
    this.#gauges.weir_job_state.set({ state: facts.state }, 1)
    set('weir_job_restarts_total', facts.restarts)
    set('weir_job_task_managers', facts.taskManagers)
    set('weir_job_slots', facts.slots.total)
    set('weir_job_records_in_total', facts.records.in)
    set('weir_job_records_out_total', facts.records.out)
    if (facts.watermark === null) this.#gauges.weir_job_watermark_lag_seconds.remove()
    else set('weir_job_watermark_lag_seconds', (now - facts.watermark) / 1000)
    set('weir_checkpoints_completed_total', facts.checkpoint.completed)
    set('weir_checkpoints_failed_total', facts.checkpoint.failed)
    set('weir_checkpoint_consecutive_failures', facts.checkpoint.consecutiveFailures)
    const { last } = facts.checkpoint
    if (last !== undefined) {
      set('weir_checkpoint_last_duration_seconds', last.durationMs / 1000)
      set('weir_checkpoint_last_size_bytes', last.sizeBytes)
      set('weir_checkpoint_last_age_seconds', (now - last.completedAt) / 1000)
    }
    const [recovery] = facts.recoveries
    if (recovery?.firstRecordMs !== undefined)
      set(
        'weir_recovery_last_seconds',
        (recovery.detectMs +
          recovery.electMs +
          recovery.scheduleMs +
          recovery.restoreMs +
          recovery.firstRecordMs) /
          1000,
      )
    for (const vertex of vertices) this.#setVertex(vertex)
    return this.#registry.metrics()
  }

  #setVertex({ id, subtasks }: VertexView): void {
    for (const [name, valueOf] of OF_VERTEX) this.#gauges[name].set({ vertex: id }, valueOf(subtasks))
  }
}

type CountName = Exclude<keyof SubtaskView, 'subtask' | 'taskManager' | 'state' | 'watermark'>
type ValueOf = (subtasks: readonly SubtaskView[]) => number

const total =
  (name: CountName): ValueOf =>
  (subtasks) =>
    subtasks.reduce((sum, subtask) => sum + subtask[name], 0)
const most =
  (name: CountName): ValueOf =>
  (subtasks) =>
    Math.max(0, ...subtasks.map((subtask) => subtask[name]))

const OF_VERTEX: readonly (readonly [MetricName, ValueOf])[] = [
  ['weir_vertex_records_in_total', total('recordsIn')],
  ['weir_vertex_records_out_total', total('recordsOut')],
  ['weir_vertex_late_dropped_total', total('lateDropped')],
  ['weir_vertex_bad_records_total', total('badRecords')],
  ['weir_vertex_skipped_commits_total', total('skippedCommits')],
  ['weir_vertex_left_pending', total('leftPending')],
  ['weir_vertex_busy_ratio', most('busyRatio')],
  ['weir_vertex_back_pressured_ratio', most('backPressuredRatio')],
]
