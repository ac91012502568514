import { messageOf } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import type { SavepointStatus } from '../api/v1alpha1/savepoint.ts'
import type { KubeClient } from '../kube/client.ts'
import type { Store } from '../kube/store.ts'
import { canonicalJson } from '../resources/spec-hash.ts'
import type { SavepointObject } from '../stream-job/gather.ts'
import type { JobClient } from '../stream-job/job-client.ts'
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
    logger.warn({ namespace: o.object.metadata.namespace, name: o.name, why: messageOf(error) }, 'savepoint not accepted')
  })
}
