import type { Logger } from '#runtime/base/logger'
import { findCondition, mergeConditions, type Reason } from '#operator/api/conditions'
import { problemsOf } from '#operator/api/manifest'
import { streamJobSpec, type StreamJobStatus } from '#operator/api/v1alpha1/stream-job'
import { DONE, requeueAfter, type Outcome } from '#operator/controller/controller'
import type { EventRecorder } from '#operator/kube/events'
import { splitKey } from '#operator/kube/store'
import { canonicalJson } from '#operator/resources/spec-hash'
import type { Applier } from './apply.ts'
import { decide, type Plan } from './decide.ts'
import { finalize } from './finalize.ts'
import { gather, type GatherContext } from './gather.ts'
import { checkpointRefreshIn, streamJobStatus } from './status.ts'
import type { StreamJobObject } from './stream-job-object.ts'

export interface StreamJobContext {
  readonly gather: GatherContext
  readonly applier: Applier
  readonly events: EventRecorder
  readonly logger: Logger
}

const PROBLEM_RETRY_MS = 30_000

/** Load, gather, decide, apply, tell. */
export class StreamJobReconciler {
  readonly #context: StreamJobContext

  constructor(context: StreamJobContext) {
    this.#context = context
  }

  async reconcile(key: string, signal: AbortSignal): Promise<Outcome> {
    const { gather: gatherContext, applier, logger } = this.#context
    const { namespace, name } = splitKey(key)
    const object = gatherContext.stores.streamJobs.get(namespace, name)
    if (object === undefined || object.metadata.deletionTimestamp !== undefined) {
      finalize(key, object?.metadata.uid, { facts: gatherContext.facts, applier })
      return DONE
    }
    const spec = streamJobSpec.safeParse(object.spec)
    if (!spec.success) {
      const lines = problemsOf(spec.error).map((p) => `spec.${p.path}: ${p.message}`)
      await this.#write(object, invalidStatus(object, lines.join('; '), gatherContext.clock.now()), signal)
      return DONE
    }

    const observed = await gather(gatherContext, object, spec.data, signal)
    const plan = decide(observed)
    logger.debug(
      { namespace, name, policy: plan.policy, because: plan.because, steps: plan.steps.map((s) => s.kind) },
      'decided',
    )
    const { object: latest, problem } = await applier.apply(plan, observed, signal)
    const status = streamJobStatus({ ...observed, status: latest.status ?? {} }, plan, problem)
    await this.#write(latest, status, signal, object.status)
    return outcome(
      plan,
      problem === undefined ? undefined : PROBLEM_RETRY_MS,
      checkpointRefreshIn(observed, status),
    )
  }

  async #write(
    object: StreamJobObject,
    status: StreamJobStatus,
    signal: AbortSignal,
    before = object.status,
  ): Promise<void> {
    if (canonicalJson(object.status ?? {}) !== canonicalJson(status))
      await this.#context.applier.writeStatus(object, status, signal)
    this.#tell(object, before ?? {}, status)
  }

  /** Events for the edges that a user wants to see: another reason of Ready, and recoveries. */
  #tell(object: StreamJobObject, before: StreamJobStatus, after: StreamJobStatus): void {
    const { events } = this.#context
    const old = findCondition(before.conditions, 'Ready')
    const ready = findCondition(after.conditions, 'Ready')
    if (ready !== undefined && ready.reason !== old?.reason && !QUIET.has(ready.reason as Reason))
      events.emit(
        object,
        NORMAL.has(ready.reason as Reason) ? 'Normal' : 'Warning',
        ready.reason as Reason,
        ready.message,
      )
    const recovery = after.recoveries?.[0]
    const isTold =
      before.recoveries?.some((r) => r.at === recovery?.at && r.firstRecordMs !== undefined) === true
    if (recovery?.firstRecordMs !== undefined && !isTold)
      events.emit(
        object,
        'Normal',
        'Recovered',
        `Back ${recovery.firstRecordMs} ms after ${recovery.cause}, from ${recovery.checkpointId === undefined ? 'the start' : `checkpoint ${recovery.checkpointId}`}.`,
      )
  }
}

/** Told by the steps of the plan already, or too common to be told. */
const QUIET: ReadonlySet<Reason> = new Set(['Starting', 'Stopping'])
const NORMAL: ReadonlySet<Reason> = new Set([
  'Running',
  'Suspended',
  'Drained',
  'Finished',
  'WaitingForSlots',
])

function outcome(plan: Plan, ...delays: readonly (number | undefined)[]): Outcome {
  const known = [plan.requeueAfterMs, ...delays].filter((d) => d !== undefined)
  return known.length === 0 ? DONE : requeueAfter(Math.min(...known))
}

function invalidStatus(object: StreamJobObject, message: string, now: number): StreamJobStatus {
  const generation = object.metadata.generation ?? 0
  const reason = 'SpecInvalid'
  const values = [
    { type: 'Ready', status: 'False', reason, message },
    { type: 'Stalled', status: 'True', reason, message },
    { type: 'Reconciling', status: 'False', reason, message },
  ] as const
  return {
    ...object.status,
    observedGeneration: generation,
    conditions: mergeConditions(object.status?.conditions, values, generation, new Date(now).toISOString()),
  }
}
