import { problemsOf } from '#operator/api/manifest'
import { savepointSpec } from '#operator/api/v1alpha1/savepoint'
import { DONE, requeueAfter, type Outcome } from '#operator/controller/controller'
import type { EventRecorder } from '#operator/kube/events'
import { splitKey } from '#operator/kube/store'
import { applySavepoint, type SavepointApplyContext } from './apply.ts'
import { decideSavepoint } from './decide.ts'
import { gatherSavepoint, type SavepointGatherContext } from './gather.ts'
import { savepointStatus } from './status.ts'

export interface SavepointContext {
  readonly gather: SavepointGatherContext
  readonly apply: SavepointApplyContext
  readonly events: EventRecorder
}

/** Load, gather, decide, apply, tell. */
export class SavepointReconciler {
  readonly #context: SavepointContext

  constructor(context: SavepointContext) {
    this.#context = context
  }

  async reconcile(key: string, signal: AbortSignal): Promise<Outcome> {
    const { gather, apply, events } = this.#context
    const { namespace, name } = splitKey(key)
    const object = gather.stores.savepoints.get(namespace, name)
    if (object === undefined || object.metadata.deletionTimestamp !== undefined) return DONE
    const spec = savepointSpec.safeParse(object.spec)
    if (!spec.success) {
      const message = problemsOf(spec.error)
        .map((p) => `spec.${p.path}: ${p.message}`)
        .join('; ')
      apply.logger.warn({ namespace, name, message }, 'savepoint does not fit the schema of this operator')
      return DONE
    }
    const observed = gatherSavepoint(gather, object, spec.data)
    const plan = decideSavepoint(observed)
    const status = savepointStatus(observed.status, plan, observed.generation, observed.now)
    await applySavepoint(apply, observed, plan, status, signal)
    if (
      status.phase !== observed.status.phase ||
      (status.failures ?? 0) !== (observed.status.failures ?? 0)
    ) {
      const isBad = plan.reason === 'Retrying' || plan.reason === 'BackoffLimitExceeded'
      events.emit(object, isBad ? 'Warning' : 'Normal', plan.reason, plan.message)
    }
    return plan.requeueAfterMs === undefined ? DONE : requeueAfter(plan.requeueAfterMs)
  }
}
