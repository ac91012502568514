import type { SavepointSpec, SavepointStatus } from '#operator/api/v1alpha1/savepoint'
import { problemsOf } from '#operator/api/manifest'
import { savepointSpec } from '#operator/api/v1alpha1/savepoint'
import { DONE, requeueAfter, type Outcome } from '#operator/controller/controller'
import type { EventRecorder } from '#operator/kube/events'
import { type Key, splitKey } from '#operator/kube/store'
import type { SavepointObject } from '#operator/resources/object'
import { applySavepoint, type SavepointApplyContext } from './apply.ts'
import { decideSavepoint, type SavepointPlan } from './decide.ts'
import { gatherSavepoint, type SavepointGatherContext } from './gather.ts'
import { savepointStatus } from './status.ts'

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
    const spec = this.#specOf(object)
    if (spec === undefined) return DONE
    const observed = gatherSavepoint(gather, object, spec)
    const plan = decideSavepoint(observed)
    const status = savepointStatus(observed.status, plan, observed.generation, observed.now)
    await applySavepoint(apply, observed, { status, request: plan.request }, signal)
    if (isEdge(observed.status, status)) this.#emit(object, plan)
    return plan.requeueAfterMs === undefined ? DONE : requeueAfter(plan.requeueAfterMs)
  }

  /** Undefined for one that an older operator admitted and this one cannot read. */
  #specOf(object: SavepointObject): SavepointSpec | undefined {
    const spec = savepointSpec.safeParse(object.spec)
    if (spec.success) return spec.data
    const { namespace, name } = object.metadata
    const message = problemsOf(spec.error)
      .map((p) => `spec.${p.path}: ${p.message}`)
      .join('; ')
    const { logger } = this.#context.apply
    logger.warn({ namespace, name, message }, 'savepoint does not fit the schema of this operator')
    return undefined
  }

  #emit(object: SavepointObject, { reason, message }: SavepointPlan): void {
    const isBad = reason === 'Retrying' || reason === 'BackoffLimitExceeded'
    this.#context.events.emit(object, isBad ? 'Warning' : 'Normal', reason, message)
  }
}

/** Another phase, or another failure. */
const isEdge = (before: SavepointStatus, after: SavepointStatus): boolean =>
  after.phase !== before.phase || (after.failures ?? 0) !== (before.failures ?? 0)
