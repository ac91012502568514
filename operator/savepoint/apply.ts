import type { Clock } from '#runtime/base/clock'
import { messageOf } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import { JobManagerClient } from '#runtime/contract/job-manager-client'
import type { SavepointStatus } from '#operator/api/v1alpha1/savepoint'
import type { KubeClient } from '#operator/kube/client'
import type { Store } from '#operator/kube/store'
import type { SavepointObject } from '#operator/resources/object'
import { canonicalJson } from '#operator/resources/spec-hash'
import type { ObservedSavepoint } from './observed.ts'

export interface SavepointApplyContext {
  readonly client: KubeClient
  readonly store: Store<SavepointObject>
  readonly clock: Clock
  readonly logger: Logger
}

export interface SavepointChange {
  readonly status: SavepointStatus
  /** What the leader is asked for, if anything. */
  readonly request: { readonly triggerId: string; readonly path: string } | undefined
}

/** A JobManager that does not answer within it is asked again by the next reconcile. */
const ANSWER_MS = 5000

/** Writes the status if it differs and nobody else has changed the object since it was read. */
export async function writeSavepointStatus(
  { client, store }: SavepointApplyContext,
  object: SavepointObject,
  status: SavepointStatus,
  signal: AbortSignal,
): Promise<void> {
  if (canonicalJson(object.status ?? {}) === canonicalJson(status)) return
  store.update(await client.replace<SavepointObject>({ ...object, status }, 'status', signal))
}

/** Writes the status, then asks the leader: what is asked for is on record before it happens. */
export async function applySavepoint(
  context: SavepointApplyContext,
  o: ObservedSavepoint,
  { status, request }: SavepointChange,
  signal: AbortSignal,
): Promise<void> {
  const { clock, logger } = context
  await writeSavepointStatus(context, o.object, status, signal)
  const address = o.facts.leader?.address
  if (request === undefined || address === undefined) return
  try {
    await new JobManagerClient(address, { clock, answerMs: ANSWER_MS }).triggerSavepoint(request)
  } catch (error) {
    // Asked again while the facts do not show it; an attempt that stays unknown counts as failed.
    const { namespace } = o.object.metadata
    logger.warn({ namespace, name: o.name, message: messageOf(error) }, 'savepoint not accepted')
  }
}
