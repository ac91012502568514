import type { StreamJobStatus } from '#operator/api/v1alpha1/stream-job-status'
import { isUnknownYet, type View, wasRunning } from './view.ts'

type Phase = NonNullable<StreamJobStatus['phase']>

/** One word for people, derived; nothing depends on it. */
export function phaseOf(view: View): Phase {
  const { o, plan } = view
  switch (o.status.run?.outcome) {
    case 'Finished':
    case 'Drained':
    case 'Failed':
      return plan.policy === 'beginRun' && plan.blocker === undefined ? 'Upgrading' : o.status.run.outcome
    case 'Suspended':
    case 'Superseded':
      return o.spec.state === 'Suspended' ? 'Suspended' : 'Upgrading'
    case undefined:
      return phaseOfActive(view)
  }
}

function phaseOfActive({ o, plan, facts }: View): Phase {
  if (o.status.run === undefined) return o.spec.state === 'Suspended' ? 'Suspended' : 'Starting'
  if (plan.policy === 'stopRun' && o.spec.state === 'Running') return 'Upgrading'
  if (isUnknownYet(o)) return o.status.phase ?? 'Starting'
  if (facts?.state === 'Running' || facts?.state === 'Stopping') return 'Running'
  const hasRun = wasRunning(o) || facts?.state === 'Restarting' || (facts?.restarts ?? 0) > 0
  return hasRun ? 'Restarting' : 'Starting'
}
