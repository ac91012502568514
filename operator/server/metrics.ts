/**
 * Metrics of the operator. Labels are kinds, conditions and results, never names of objects, so
 * that their number stays small.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { ReconcileResult } from '#operator/controller/controller'

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
    sampled(registers, {
      name: 'weir_operator_queue_depth',
      help: 'Objects that wait for a worker.',
      label: 'controller',
      read: sources.queueDepth,
    })
    sampled(registers, {
      name: 'weir_operator_watch_age_seconds',
      help: 'Time since the API server last sent anything for a kind.',
      label: 'kind',
      read: () => inSeconds(sources.contactAgeMs()),
    })
    sampled(registers, {
      name: 'weir_operator_stream_jobs',
      help: 'StreamJobs by phase.',
      label: 'phase',
      read: sources.jobsByPhase,
    })
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

const inSeconds = (agesMs: Readonly<Record<string, number>>): Readonly<Record<string, number>> =>
  Object.fromEntries(Object.entries(agesMs).map(([kind, ms]) => [kind, ms / 1000]))

interface Sampled {
  readonly name: string
  readonly help: string
  readonly label: string
  /** Values by what the label says. */
  readonly read: () => Readonly<Record<string, number>>
}

/** A gauge that is read when it is asked for. */
function sampled(registers: Registry[], { name, help, label, read }: Sampled): void {
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
