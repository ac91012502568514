import type { Policy } from '../plan.ts'

/** The storage and the Redis of a run are on record before anything else is done for it. */
export const noteResolved: Policy = ({ status, resolved, desired }) => {
  if (status.run === undefined || status.resolved !== undefined) return undefined
  const used = resolved ?? (desired.kind === 'ready' ? desired.resolved : undefined)
  if (used === undefined) return undefined
  return {
    policy: 'noteResolved',
    message: 'what the run uses is written down',
    steps: [{ kind: 'writeStatus', status: { resolved: used } }],
    requeueAfterMs: 0,
  }
}
