import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { ReconcileResult } from '#operator/controller/controller'

/**
 * Metrics of the operator. Labels are kinds, conditions and results, never names of objects, so
 * that their number stays small.
 */
export interface MetricSources {
  readonly queueDepth: () => Readonly<Record<string, number>>
  readonly contactAgeMs: () => Readonly<Record<string, number>>
  readonly jobsByPhase: () => Readonly<Record<string, number>>
  readonly isLeading: () => boolean
}

export class OperatorMetrics {
  readonly registry = new Registry()
  readonly #reconciles: Counter<'controller' | 'result'>
  readonly #duration: Histogram<'controller'>

  constructor(sources: MetricSources) {
    const registers = [this.registry]
    collectDefaultMetrics({ register: this.registry })
    this.#reconciles = new Counter({
      name: 'weir_operator_reconcile_total',
      help: 'Reconciles by controller and result.',
      labelNames: ['controller', 'result'],
      registers,
    })
    this.#duration = new Histogram({
      name: 'weir_operator_reconcile_duration_seconds',
      help: 'Duration of reconciles.',
      labelNames: ['controller'],
      buckets: [0.005, 0.02, 0.1, 0.5, 2, 10],
      registers,
    })
    sampled(
      'weir_operator_queue_depth',
      'Objects that wait for a worker.',
      'controller',
      sources.queueDepth,
      registers,
    )
    sampled(
      'weir_operator_watch_age_seconds',
      'Time since the API server last sent anything for a kind.',
      'kind',
      () => Object.fromEntries(Object.entries(sources.contactAgeMs()).map(([kind, ms]) => [kind, ms / 1000])),
      registers,
    )
    sampled('weir_operator_stream_jobs', 'StreamJobs by phase.', 'phase', sources.jobsByPhase, registers)
    const leading: Gauge = new Gauge({
      name: 'weir_operator_leader',
      help: '1 while this process leads.',
      registers,
      collect: () => leading.set(sources.isLeading() ? 1 : 0),
    })
  }

  onResult(controller: string, result: ReconcileResult, durationMs: number): void {
    this.#reconciles.inc({ controller, result })
    this.#duration.observe({ controller }, durationMs / 1000)
  }
}

function sampled(
  name: string,
  help: string,
  label: string,
  read: () => Readonly<Record<string, number>>,
  registers: Registry[],
): void {
  const gauge: Gauge = new Gauge({
    name,
    help,
    labelNames: [label],
    registers,
    collect: () => {
      gauge.reset()
      for (const [value, n] of Object.entries(read())) gauge.set({ [label]: value }, n)
    },
  })
}
