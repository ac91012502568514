import type { RunStatus } from '#operator/api/v1alpha1/stream-job-status'
import { parseDuration } from '#runtime/base/units'
import type { JobFacts } from '#runtime/contract/rest'
import type { Observed } from '../observed.ts'
import type { Plan, Policy, Step } from '../plan.ts'
import {
  activeRun,
  currentFacts,
  isChanged,
  isRestartAsked,
  isTokenLost,
  LEADER_GRACE_MS,
  runNumber,
  textOfUnreachable,
  unreachableJobManager,
  wantsNewRun,
} from '../run-state.ts'
import { kept, neverWanted } from './keep-run.ts'
import { ended } from './note-outcome.ts'
import { stopMode, stopRequest, stopTrigger } from './stop-request.ts'

/** Beyond the limit of a checkpoint, for asking and for closing the run. */
const STOP_MARGIN_MS = 60_000
const LOOK_AGAIN_MS = 2000
const DRAIN_WAIT_MS = 5000
const DRAIN_RETRY_MS = 30_000

/** The run has to end, because of spec.state or because another one is to take its place. */
export const stopRun: Policy = (o) => {
  const run = activeRun(o)
  if (run === undefined || !mustStop(o, run)) return undefined
  const stop: Stop = { o, run, cause: causeOf(o) }
  if (isTokenLost(o)) return withoutToken(stop)
  const facts = currentFacts(o)
  if (facts === undefined) return withoutLeader(stop)
  if (facts.state === 'Running' || facts.state === 'Stopping')
    return run.stopRequestedAt === undefined ? requestStop(stop) : awaitStop(stop, facts)
  if (mustDrain(o)) return waitToStop(stop, 'only a running job can be drained')
  // Not running: nothing was processed since the last completed checkpoint that a stop could save.
  return endWithoutStop(
    stop,
    'StopSkipped',
    `Run ${runNumber(o)} was ${facts.state}, so it was ended without ${promised(o)}.`,
  )
}

const promised = (o: Observed): string =>
  stopMode(o) === 'savepoint' ? 'the savepoint that upgrade.mode asks for' : 'a new checkpoint'

export interface Stop {
  readonly o: Observed
  readonly run: RunStatus
  /** Why the run has to end, in words. */
  readonly cause: string
}

function causeOf(o: Observed): string {
  if (isTokenLost(o)) return "the operator's key has changed"
  if (o.spec.state !== 'Running') return `spec.state is ${o.spec.state}`
  return isRestartAsked(o) ? 'a restart was asked for' : 'the spec has changed'
}

function mustStop(o: Observed, run: RunStatus): boolean {
  if (run.stopRequestedAt !== undefined || o.spec.state !== 'Running') return true
  return o.desired.kind === 'ready' && wantsNewRun(o)
}

/** A job that is to be drained ends by a stop only, unless a changed spec may bring it to run. */
function mustDrain(o: Observed): boolean {
  return o.spec.state === 'Drained' && !(o.desired.kind === 'ready' && isChanged(o))
}

/** Nobody can be asked, and pods that are replaced would not be let in by those that stay. */
function withoutToken(stop: Stop): Plan {
  const what = `Run ${runNumber(stop.o)} has a token from a key that the operator has lost.`
  return endWithoutStop(stop, 'TokenLost', `${what} All its pods are replaced, without a new checkpoint.`)
}

function withoutLeader(stop: Stop): Plan {
  const { o } = stop
  const lost = unreachableJobManager(o)
  const why = lost === undefined ? 'no JobManager leads' : textOfUnreachable(lost)
  if (o.jobManagerPods.some((p) => p.hasAddress) && o.facts.leaderlessMs < LEADER_GRACE_MS)
    return waitToStop(stop, `waiting for its JobManager, as ${why}`, LOOK_AGAIN_MS)
  if (mustDrain(o)) return waitToStop(stop, `${why}, and only a running job can be drained`, DRAIN_WAIT_MS)
  if (isSavepointAwaited(stop)) return waitForSavepoint(stop, why)
  return endWithoutStop(
    stop,
    'StopSkipped',
    `Run ${runNumber(o)} could not be asked to stop, as ${why}, so it was ended without ${promised(o)}.`,
  )
}

/**
 * A savepoint was promised, so it is waited for while a JobManager lives, but no longer than for a
 * job to be ready.
 */
function isSavepointAwaited({ o, run: { stopWantedAt } }: Stop): boolean {
  if (stopMode(o) !== 'savepoint' || !o.jobManagerPods.some((p) => p.readySince !== undefined)) return false
  if (stopWantedAt === undefined) return true
  return o.now - Date.parse(stopWantedAt) < parseDuration(o.spec.upgrade.deadline)
}

function waitForSavepoint(stop: Stop, why: string): Plan {
  const { o, run } = stop
  const limit = `${o.spec.upgrade.deadline} (spec.upgrade.deadline) at most`
  const plan = waitToStop(stop, `waiting for a savepoint, for ${limit}, as ${why}`, LOOK_AGAIN_MS)
  if (run.stopWantedAt !== undefined) return plan
  const wanted: RunStatus = { ...run, stopWantedAt: new Date(o.now).toISOString() }
  return { ...plan, steps: [{ kind: 'writeStatus', status: { run: wanted } }, ...plan.steps] }
}

/** The run cannot be asked yet; until then it is kept as it is. */
function waitToStop({ o, cause }: Stop, waitsFor: string, requeueAfterMs?: number): Plan {
  return {
    policy: 'stopRun',
    message: `${cause}; ${waitsFor}`,
    ...kept(o),
    ...(requeueAfterMs === undefined ? {} : { requeueAfterMs }),
  }
}

export function requestStop({ o, run, cause }: Stop): Plan {
  const asked: RunStatus = { ...neverWanted(run), stopRequestedAt: new Date(o.now).toISOString() }
  return {
    policy: 'stopRun',
    message: cause,
    steps: [
      { kind: 'writeStatus', status: { run: asked } },
      { kind: 'requestStop', request: stopRequest({ ...o, status: { ...o.status, run: asked } }) },
    ],
    requeueAfterMs: LOOK_AGAIN_MS,
  }
}

function awaitStop(stop: Stop, facts: JobFacts): Plan {
  const { o, run, cause } = stop
  const operation = facts.operations.find((op) => op.triggerId === stopTrigger(o))
  if (operation?.status === 'Failed') return stopFailed(stop, operation.error?.message ?? 'no reason given')
  const waitedMs = o.now - Date.parse(run.stopRequestedAt ?? '')
  const limitMs = parseDuration(o.spec.checkpoint.timeout) + STOP_MARGIN_MS
  if (waitedMs > limitMs && o.spec.state !== 'Drained') {
    const message = `Run ${runNumber(o)} did not stop within ${Math.round(limitMs / 1000)} s.`
    return endWithoutStop(stop, 'StopTimedOut', message)
  }
  // A JobManager that came to lead after the request knows nothing of it; the trigger id makes
  // asking again harmless.
  const isUnknown = operation === undefined && facts.state === 'Running'
  const steps: Step[] = isUnknown ? [{ kind: 'requestStop', request: stopRequest(o) }] : []
  return {
    policy: 'stopRun',
    message: `${cause}; the run is stopping`,
    steps,
    requeueAfterMs: LOOK_AGAIN_MS,
  }
}

function stopFailed(stop: Stop, why: string): Plan {
  const { o } = stop
  const message = `Run ${runNumber(o)} could not be stopped with a ${stopMode(o)}: ${why}`
  return o.spec.state === 'Drained' ? askAgain(stop, message) : endWithoutStop(stop, 'StopFailed', message)
}

function askAgain({ run }: Stop, message: string): Plan {
  const { stopRequestedAt: _at, ...unasked } = run
  return {
    policy: 'stopRun',
    message,
    steps: [
      { kind: 'event', type: 'Warning', reason: 'StopFailed', message },
      { kind: 'writeStatus', status: { run: unasked } },
    ],
    requeueAfterMs: DRAIN_RETRY_MS,
  }
}

/** Safe by I3 of decide.ts. */
function endWithoutStop(
  { o, run, cause }: Stop,
  reason: 'StopSkipped' | 'StopFailed' | 'StopTimedOut' | 'TokenLost',
  what: string,
): Plan {
  const outcome = o.spec.state === 'Suspended' ? 'Suspended' : 'Superseded'
  const message = `${what} It continues from the last completed checkpoint.`
  return {
    policy: 'stopRun',
    message: `${cause}; ${what}`,
    steps: [
      { kind: 'event', type: 'Warning', reason, message },
      { kind: 'writeStatus', status: { run: ended(run, outcome, message) } },
    ],
    requeueAfterMs: 0,
  }
}
