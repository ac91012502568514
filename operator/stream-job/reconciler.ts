import { messageOf } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import { mergeConditions, standstill } from '#operator/api/conditions'
import { problemsOf } from '#operator/api/manifest'
import { streamJobSpec } from '#operator/api/v1alpha1/stream-job'
import type { StreamJobStatus } from '#operator/api/v1alpha1/stream-job-status'
import { DONE, type Failing, requeueAfter, type Outcome } from '#operator/controller/controller'
import type { JobManagerWatcher } from '#operator/job-managers/watcher'
import type { EventRecorder } from '#operator/kube/events'
import { type Key, keyOfObject, splitKey } from '#operator/kube/store'
import type { StreamJobObject } from '#operator/resources/object'
import { jobRefOf, type JobRef } from '#operator/resources/run-context'
import { canonicalJson } from '#operator/resources/spec-hash'
import type { Applier } from './apply.ts'
import { problemOf } from './apply-problem.ts'
import { decide } from './decide.ts'
import { edges } from './edges.ts'
import { gather, type GatherContext } from './gather.ts'
import type { Blocker } from './observed.ts'
import type { Plan } from './plan.ts'
import { jobManagerAddresses } from './pods.ts'
import { checkpointRefreshIn, notReadyLookIn, streamJobStatus } from './status.ts'
import { waitsLookIn } from './waiting.ts'

export interface StreamJobContext extends GatherContext {
  readonly jobManagers: JobManagerWatcher
  readonly applier: Applier
  readonly events: EventRecorder
  readonly logger: Logger
}

const PROBLEM_RETRY_MS = 30_000

/** Load, follow the JobManagers, gather, decide, apply, write the status. */
export class StreamJobReconciler {
  readonly #context: StreamJobContext

  constructor(context: StreamJobContext) {
    this.#context = context
  }

  async reconcile(key: Key, signal: AbortSignal): Promise<Outcome> {
    const { stores, clock } = this.#context
    const { namespace, name } = splitKey(key)
    const object = stores.streamJobs.get(namespace, name)
    if (object === undefined || object.metadata.deletionTimestamp !== undefined) {
      this.#letGo(key)
      return DONE
    }
    const spec = streamJobSpec.safeParse(object.spec)
    if (!spec.success) {
      const lines = problemsOf(spec.error).map((p) => `spec.${p.path}: ${p.message}`)
      const problem: Blocker = { reason: 'SpecInvalid', message: lines.join('; '), needsUser: true }
      await this.#write(object, stoppedBy(problem, object, clock.now()), signal)
      return DONE
    }
    this.#follow(object)
    const observed = await gather(this.#context, object, spec.data, signal)
    const plan = decide(observed)
    this.#logPlan(observed.job, plan)
    const { object: latest, problem } = await this.#context.applier.apply(plan, observed, signal)
    const status = streamJobStatus({ ...observed, status: latest.status ?? {} }, plan, problem)
    await this.#write(latest, status, signal, object.status)
    return outcome(
      plan.requeueAfterMs,
      problem === undefined ? undefined : PROBLEM_RETRY_MS,
      checkpointRefreshIn(observed, status),
      notReadyLookIn({ ...observed, status }, status),
      waitsLookIn(observed, status),
    )
  }

  /** Says on the object what keeps it from being reconciled. */
  async failing({ key, error }: Failing, signal: AbortSignal): Promise<void> {
    const { stores, clock, events } = this.#context
    const { namespace, name } = splitKey(key)
    const object = stores.streamJobs.get(namespace, name)
    if (object === undefined) return
    const failure: Blocker = { reason: 'ReconcileFailed', message: messageOf(error), needsUser: false }
    const problem = problemOf(error, false) ?? failure
    try {
      await this.#write(object, stoppedBy(problem, object, clock.now()), signal)
    } catch (refused) {
      // A status that the server refuses cannot say so itself.
      events.emit(object, 'Warning', problem.reason, problem.message)
      throw refused
    }
  }

  /**
   * The streams of facts follow the pods. Before gathering, which only reads: what a JobManager of
   * an earlier run said, or one that has gone, must not take part in the decision.
   */
  #follow(object: StreamJobObject): void {
    const { stores, jobManagers, tokenOf } = this.#context
    const key = keyOfObject(object)
    const run = Number(object.status?.runId ?? 0)
    jobManagers.follow(key, tokenOf(jobRefOf(object)), jobManagerAddresses(stores.pods.indexed(key), run))
  }

  /**
   * The StreamJob goes: what this process holds for it goes too, and nothing else is to do. There
   * is no finalizer, so that a deletion never waits for the operator, a job, a bucket or Redis: the
   * API server's garbage collector removes the owned objects, pods stop on SIGTERM, checkpoints and
   * Savepoints stay.
   */
  #letGo(key: Key): void {
    this.#context.jobManagers.forget(key)
    this.#context.applier.forget(key)
  }

  #logPlan({ namespace, name }: JobRef, { policy, message, steps }: Plan): void {
    const kinds = steps.map((s) => s.kind)
    this.#context.logger.debug({ namespace, name, policy, message, steps: kinds }, 'decided')
  }

  async #write(
    object: StreamJobObject,
    status: StreamJobStatus,
    signal: AbortSignal,
    before = object.status,
  ): Promise<void> {
    if (canonicalJson(object.status ?? {}) !== canonicalJson(status))
      await this.#context.applier.writeStatus(object, status, signal)
    for (const { type, reason, message } of edges(before ?? {}, status))
      this.#context.events.emit(object, type, reason, message)
  }
}

function outcome(...delays: readonly (number | undefined)[]): Outcome {
  const known = delays.filter((d) => d !== undefined)
  return known.length === 0 ? DONE : requeueAfter(Math.min(...known))
}

/** The status as it was, with conditions that say what stands in the way. */
function stoppedBy(
  { reason, message, needsUser }: Blocker,
  object: StreamJobObject,
  now: number,
): StreamJobStatus {
  const generation = object.metadata.generation ?? 0
  const values = standstill(reason, message, needsUser)
  return {
    ...object.status,
    observedGeneration: generation,
    conditions: mergeConditions(object.status?.conditions, values, generation, new Date(now).toISOString()),
  }
}
