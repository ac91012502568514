import { messageOf } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import type { SavepointStatus } from '#operator/api/v1alpha1/savepoint'
import type { KubeClient } from '#operator/kube/client'
import type { Store } from '#operator/kube/store'
import { canonicalJson } from '#operator/resources/spec-hash'
import type { SavepointObject } from '#operator/stream-job/gather'
import type { JobClient } from '#operator/stream-job/job-client'
import type { SavepointPlan } from './decide.ts'
import type { ObservedSavepoint } from './observed.ts'

export interface SavepointApplyContext {
  readonly client: KubeClient
  readonly jobs: JobClient
  readonly store: Store<SavepointObject>
  readonly logger: Logger
}

/** Writes the status, then asks the leader: what is asked for is on record before it happens. */
export async function applySavepoint(
  context: SavepointApplyContext,
  o: ObservedSavepoint,
  plan: SavepointPlan,
  status: SavepointStatus,
  signal: AbortSignal,
): Promise<void> {
  const { client, jobs, store, logger } = context
  if (canonicalJson(o.status) !== canonicalJson(status))
    store.put(await client.replace<SavepointObject>({ ...o.object, status }, 'status', signal))
  const address = o.facts.leader?.address
  if (plan.request === undefined || address === undefined) return
  // Asked again while the facts do not show it; a try that stays unknown counts as failed.
  await jobs.savepoint(address, plan.request).catch((error: unknown) => {
    logger.warn(
      { namespace: o.object.metadata.namespace, name: o.name, why: messageOf(error) },
      'savepoint not accepted',
    )
  })
}
