import type { StopRequest } from '#runtime/contract/rest'
import { names } from '#operator/resources/names'
import type { Observed } from '../observed.ts'
import { runNumber } from '../run-state.ts'

export const stopMode = (o: Observed): StopRequest['mode'] =>
  o.spec.upgrade.mode === 'Savepoint' ? 'savepoint' : 'checkpoint'

/**
 * The same for every attempt of one request, so that asking twice stops once; another one after a
 * failed request.
 */
export function stopTrigger(o: Observed): string {
  return `stop-${runNumber(o)}-${Date.parse(o.status.run?.stopRequestedAt ?? '')}`
}

export function stopRequest(o: Observed): StopRequest {
  const common = {
    triggerId: stopTrigger(o),
    ...(o.spec.state === 'Drained' ? { drain: true } : {}),
  }
  if (stopMode(o) === 'checkpoint') return { ...common, mode: 'checkpoint' }
  const path = savepointPath(o)
  return { ...common, mode: 'savepoint', ...(path === undefined ? {} : { path }) }
}

/** Where the run is asked to write the savepoint that it is stopped with. */
export function savepointPath(o: Observed): string | undefined {
  if (o.storageUrl === undefined) return undefined
  const trigger = o.spec.state === 'Running' ? 'Upgrade' : 'Suspend'
  return `${o.storageUrl}/savepoints/${names.stopSavepoint(o.job.name, o.job.uid, runNumber(o), trigger)}`
}
