import type { Reason } from '#operator/api/conditions'
import { messageOf } from '#runtime/base/errors'
import { problemsOf } from '#operator/api/manifest'
import { savepointSpec, type SavepointStatus } from '#operator/api/v1alpha1/savepoint'
import { DONE, type Failing, requeueAfter, type Outcome } from '#operator/controller/controller'
import type { EventRecorder } from '#operator/kube/events'
import { refusalOf } from '#operator/kube/refusal'
import { type Key, splitKey } from '#operator/kube/store'
import type { SavepointObject } from '#operator/resources/object'
import { applySavepoint, writeSavepointStatus, type SavepointApplyContext } from './apply.ts'
import { decideSavepoint, type SavepointPlan } from './decide.ts'
import { gatherSavepoint, type SavepointGatherContext } from './gather.ts'
import { savepointStatus, stoppedSavepoint, type Obstacle } from './status.ts'

export interface SavepointContext {
  readonly gather: SavepointGatherContext
  readonly apply: SavepointApplyContext
  readonly events: EventRecorder
}

/** Load, gather, decide, write the status, ask the leader. */
export class SavepointReconciler {
  readonly #context: SavepointContext

  constructor(context: SavepointContext) {
    this.#context = context
  }

  async reconcile(key: Key, signal: AbortSignal): Promise<Outcome> {
    const { gather, apply } = this.#context
    const { namespace, name } = splitKey(key)
    const object = gather.stores.savepoints.get(namespace, name)
    if (object === undefined || object.metadata.deletionTimestamp !== undefined) return DONE
    const spec = savepointSpec.safeParse(object.spec)
    if (!spec.success) {
      // An older operator admitted it.
      const lines = problemsOf(spec.error).map((p) => `spec.${p.path}: ${p.message}`)
      await this.#stop(object, { reason: 'SpecInvalid', message: lines.join('; '), needsUser: true }, signal)
      return DONE
    }
    const observed = gatherSavepoint(gather, object, spec.data)
    const plan = decideSavepoint(observed)
    const status = savepointStatus(observed.status, plan, observed.generation, observed.now)
    await applySavepoint(apply, observed, { status, request: plan.request }, signal)
    if (isEdge(observed.status, status)) this.#emit(object, plan)
    return plan.requeueAfterMs === undefined ? DONE : requeueAfter(plan.requeueAfterMs)
  }

  /** Says on the object what keeps it from being reconciled. */
  async failing({ key, error }: Failing, signal: AbortSignal): Promise<void> {
    const { namespace, name } = splitKey(key)
    const object = this.#context.gather.stores.savepoints.get(namespace, name)
    if (object === undefined) return
    const failure: Obstacle = { reason: 'ReconcileFailed', message: messageOf(error), needsUser: false }
    await this.#stop(object, refusalOf(error) ?? failure, signal)
  }

  /** A status that the server refuses cannot say so itself, so the event comes first. */
  async #stop(object: SavepointObject, obstacle: Obstacle, signal: AbortSignal): Promise<void> {
    const { gather, apply, events } = this.#context
    const { reason, message } = obstacle
    const ready = object.status?.conditions?.find((c) => c.type === 'Ready')
    if (ready?.reason !== reason) events.emit(object, 'Warning', reason, message)
    await writeSavepointStatus(apply, object, stoppedSavepoint(object, obstacle, gather.clock.now()), signal)
  }

  #emit(object: SavepointObject, { reason, message, isStalled = false }: SavepointPlan): void {
    const type = isStalled || BAD.has(reason) ? 'Warning' : 'Normal'
    this.#context.events.emit(object, type, reason, message)
  }
}

const BAD: ReadonlySet<Reason> = new Set(['Retrying', 'BackoffLimitExceeded'])

/** Another phase, or another failure. */
const isEdge = (before: SavepointStatus, after: SavepointStatus): boolean =>
  after.phase !== before.phase || (after.failures ?? 0) !== (before.failures ?? 0)
