import type { Reason } from '#operator/api/conditions'
import type { RunOutcome, RunStatus, StreamJobStatus } from '#operator/api/v1alpha1/stream-job'
import { parseDuration } from '#runtime/base/units'
import type { JobFacts } from '#runtime/contract/rest'
import { names } from '#operator/resources/names'
import type { StopRequest } from './job-client.ts'
import type { Blocker, Observed } from './observed.ts'

/**
 * What to do for a StreamJob. Pure: from what was observed to a plan, by an ordered list of
 * policies of which the first that has something to say decides.
 *
 *   1 recordEnd   the job says that its run has ended     -> write the outcome
 *   2 stopRun     the run has to end (spec.state, new run) -> ask it to stop, wait for its word,
 *                 give up after a limit
 *   3 beginRun    no run is under way and one is wanted    -> write the number of the next run, then
 *                 make its objects
 *   4 keepRun     a run is under way                       -> its objects exist and have the wanted
 *                 size
 *   5 releaseRun  the run has ended                        -> its pods are gone
 *
 * I1 The number of a run is written to the status before anything of it is made; the outcome before
 *    anything of it is taken away.
 * I2 No step waits. Waiting is a plan without steps, until facts, an object or the clock change.
 * I3 Nothing here protects the state of the job: the commit log does, by run and epoch. A run that
 *    is cut short costs replay, never data.
 */
export type Step =
  | { readonly kind: 'writeStatus'; readonly status: Partial<StreamJobStatus> }
  | { readonly kind: 'ensureRun'; readonly run: number }
  | { readonly kind: 'deleteTaskManagers'; readonly name: string; readonly uid: string }
  | { readonly kind: 'deleteJobManager'; readonly uid: string }
  | { readonly kind: 'deleteConfig'; readonly run: number }
  | { readonly kind: 'scaleJobManager'; readonly replicas: number }
  | { readonly kind: 'scaleTaskManagers'; readonly name: string; readonly replicas: number }
  | { readonly kind: 'labelLeader'; readonly pod: string; readonly isLeader: boolean }
  | { readonly kind: 'requestStop'; readonly request: StopRequest }
  | {
      readonly kind: 'createSavepoint'
      readonly name: string
      readonly path: string
      readonly trigger: 'Upgrade' | 'Suspend'
    }
  | {
      readonly kind: 'event'
      readonly type: 'Normal' | 'Warning'
      readonly reason: Reason
      readonly message: string
    }

export type PolicyName = 'recordEnd' | 'stopRun' | 'beginRun' | 'keepRun' | 'releaseRun' | 'nothing'

export interface Plan {
  readonly policy: PolicyName
  /** In words, for the log. */
  readonly because: string
  readonly steps: readonly Step[]
  /** Present where a new run is wanted and cannot be begun. */
  readonly blocker?: Blocker
  readonly requeueAfterMs?: number
}

type Policy = (o: Observed) => Plan | undefined

/**
 * A leader that was not seen for so long is taken for lost where the operator waits for its word.
 */
export const LEADER_GRACE_MS = 30_000
const STOP_MARGIN_MS = 60_000
const BLOCKED_RETRY_MS = 10_000
const MODULE_POLL_MS = 30_000
const DRAIN_RETRY_MS = 30_000

export function decide(o: Observed): Plan {
  for (const policy of POLICIES) {
    const plan = policy(o)
    if (plan !== undefined) return plan
  }
  return { policy: 'nothing', because: 'no run is wanted and none exists', steps: [] }
}

/** The run under way: one that has not ended. */
export function activeRun(o: Observed): (RunStatus & { readonly number: number }) | undefined {
  return o.status.run === undefined || o.status.run.outcome !== undefined
    ? undefined
    : { ...o.status.run, number: runNumber(o) }
}

/** Facts of the leader, if they are of the current run. */
export function currentFacts(o: Observed): JobFacts | undefined {
  return o.facts.facts?.run === runNumber(o) ? o.facts.facts : undefined
}

const runNumber = (o: Observed): number => Number(o.status.runId ?? 0)
const time = (ms: number): string => new Date(ms).toISOString()

/** The spec, or its restore block, asks for something else than the current run was made from. */
function isChanged(o: Observed): boolean {
  const { run } = o.status
  if (run === undefined) return true
  const hash = o.desired.specHash
  return (hash !== undefined && hash !== run.specHash) || isRestorePending(o)
}

/** The restore block has not acted yet, and the current run does not apply it either. */
function isRestorePending(o: Observed): boolean {
  return (
    o.restoreHash !== undefined &&
    o.restoreHash !== o.status.restoreHash &&
    o.restoreHash !== o.status.run?.restoreHash
  )
}

function wantsNewRun(o: Observed): boolean {
  const { run } = o.status
  if (o.spec.state === 'Suspended') return false
  // To drain, a stopped job is started once more: only a running one can bring event time to its
  // end.
  if (o.spec.state === 'Drained') return run?.outcome === 'Suspended' || run?.outcome === 'Superseded'
  switch (run?.outcome) {
    case undefined:
      return isChanged(o)
    case 'Suspended':
    case 'Superseded':
    case 'Drained':
      return true
    case 'Finished':
      return isChanged(o)
    case 'Failed':
      return isChanged(o) || o.generation > run!.generation
  }
}

const recordEnd: Policy = (o) => {
  const run = activeRun(o)
  const facts = currentFacts(o)
  const outcome = facts && outcomeOf(facts, o)
  if (run === undefined || facts === undefined || outcome === undefined) return undefined
  const message = facts.error?.message ?? facts.message
  return {
    policy: 'recordEnd',
    because: `the job is ${facts.state}`,
    steps: [
      ...restoreActed(o, facts),
      ...stopSavepoint(o, facts),
      { kind: 'writeStatus', status: { run: ended(o.status.run!, outcome, message) } },
      ...(outcome === 'Failed' ? [] : [endEvent(run.number, outcome, message)]),
    ],
    requeueAfterMs: 0,
  }
}

function outcomeOf(facts: JobFacts, o: Observed): RunOutcome | undefined {
  switch (facts.state) {
    case 'Finished':
    case 'Drained':
    case 'Failed':
      return facts.state
    case 'Suspended':
      return o.spec.state === 'Suspended' ? 'Suspended' : 'Superseded'
    default:
      return undefined
  }
}

/**
 * A run that was stopped with a savepoint leaves a Savepoint object behind that belongs to the
 * user.
 */
function stopSavepoint(o: Observed, facts: JobFacts): Step[] {
  const operation = facts.operations.find((op) => op.triggerId === stopTrigger(o))
  if (
    operation?.path === undefined ||
    operation.status !== 'Completed' ||
    o.spec.upgrade.mode !== 'Savepoint'
  )
    return []
  const trigger = o.spec.state === 'Running' ? 'Upgrade' : 'Suspend'
  return [
    {
      kind: 'createSavepoint',
      name: names.stopSavepoint(o.job.name, o.job.uid, runNumber(o), trigger),
      path: operation.path,
      trigger,
    },
  ]
}

const stopRun: Policy = (o) => {
  const run = activeRun(o)
  if (run === undefined) return undefined
  const isAsked = run.stopRequestedAt !== undefined
  const isReplaced = o.desired.kind === 'ready' && wantsNewRun(o)
  if (!isAsked && o.spec.state === 'Running' && !isReplaced) return undefined
  const why = o.spec.state === 'Running' ? 'the spec has changed' : `spec.state is ${o.spec.state}`
  const facts = currentFacts(o)
  if (facts === undefined) return withoutLeader(o, why)
  if (facts.state === 'Running' || facts.state === 'Stopping')
    return isAsked ? awaitStop(o, facts, why) : requestStop(o, why)
  if (mustDrain(o)) return keep(o, { because: 'only a running job can be drained' })
  // Not running: nothing was processed since the last completed checkpoint that a stop could save.
  return cut(
    o,
    'StopSkipped',
    `Run ${run.number} was ${facts.state}, so it was ended without a new checkpoint.`,
    why,
  )
}

/** A job that is to be drained is not cut short, unless a changed spec may bring it to run. */
function mustDrain(o: Observed): boolean {
  return o.spec.state === 'Drained' && !(o.desired.kind === 'ready' && isChanged(o))
}

function withoutLeader(o: Observed, why: string): Plan {
  if (o.jobManagerPods.some((p) => p.hasAddress) && o.facts.leaderlessMs < LEADER_GRACE_MS)
    return keep(o, { because: `${why}; waiting for a JobManager that leads`, requeueAfterMs: 2000 })
  if (mustDrain(o))
    return keep(o, {
      because: 'no JobManager leads; only a running job can be drained',
      requeueAfterMs: 5000,
    })
  return cut(
    o,
    'StopSkipped',
    `Run ${runNumber(o)} had no leading JobManager, so it was ended without a new checkpoint.`,
    why,
  )
}

function requestStop(o: Observed, why: string): Plan {
  const at = time(o.now)
  const run: RunStatus = { ...o.status.run!, stopRequestedAt: at }
  return {
    policy: 'stopRun',
    because: why,
    steps: [
      { kind: 'writeStatus', status: { run } },
      { kind: 'requestStop', request: stopRequest({ ...o, status: { ...o.status, run } }) },
    ],
    requeueAfterMs: 2000,
  }
}

function awaitStop(o: Observed, facts: JobFacts, why: string): Plan {
  const operation = facts.operations.find((op) => op.triggerId === stopTrigger(o))
  if (operation?.status === 'Failed') {
    const message = `Run ${runNumber(o)} could not be stopped with a ${stopMode(o)}: ${operation.error?.message ?? 'no reason given'}`
    return o.spec.state === 'Drained' ? askAgain(o, message) : cut(o, 'StopFailed', message, why)
  }
  const waitedMs = o.now - Date.parse(o.status.run!.stopRequestedAt!)
  const limitMs = parseDuration(o.spec.checkpoint.timeout) + STOP_MARGIN_MS
  if (waitedMs > limitMs && o.spec.state !== 'Drained')
    return cut(
      o,
      'StopTimedOut',
      `Run ${runNumber(o)} did not stop within ${Math.round(limitMs / 1000)} s.`,
      why,
    )
  // A JobManager that came to lead after the request knows nothing of it; the trigger id makes
  // asking again harmless.
  const steps: Step[] =
    operation === undefined && facts.state === 'Running'
      ? [{ kind: 'requestStop', request: stopRequest(o) }]
      : []
  return { policy: 'stopRun', because: `${why}; the run is stopping`, steps, requeueAfterMs: 2000 }
}

function askAgain(o: Observed, message: string): Plan {
  const { stopRequestedAt: _at, ...run } = o.status.run!
  return {
    policy: 'stopRun',
    because: message,
    steps: [
      { kind: 'event', type: 'Warning', reason: 'StopFailed', message },
      { kind: 'writeStatus', status: { run } },
    ],
    requeueAfterMs: DRAIN_RETRY_MS,
  }
}

/** Ends the run without its word. Safe by I3. */
function cut(
  o: Observed,
  reason: 'StopSkipped' | 'StopFailed' | 'StopTimedOut',
  message: string,
  why: string,
): Plan {
  const outcome = o.spec.state === 'Suspended' ? 'Suspended' : 'Superseded'
  const text = `${message} It continues from the last completed checkpoint.`
  return {
    policy: 'stopRun',
    because: `${why}; ${message}`,
    steps: [
      { kind: 'event', type: reason === 'StopSkipped' ? 'Normal' : 'Warning', reason, message: text },
      { kind: 'writeStatus', status: { run: ended(o.status.run!, outcome, text) } },
    ],
    requeueAfterMs: 0,
  }
}

const stopMode = (o: Observed): StopRequest['mode'] =>
  o.spec.upgrade.mode === 'Savepoint' ? 'savepoint' : 'checkpoint'

/**
 * The same for every try of one request, so that asking twice stops once; another one after a
 * failed request.
 */
function stopTrigger(o: Observed): string {
  return `stop-${runNumber(o)}-${Date.parse(o.status.run?.stopRequestedAt ?? '')}`
}

function stopRequest(o: Observed): StopRequest {
  const mode = stopMode(o)
  const trigger = o.spec.state === 'Running' ? 'Upgrade' : 'Suspend'
  return {
    triggerId: stopTrigger(o),
    mode,
    ...(mode === 'savepoint' && o.storageUrl !== undefined
      ? {
          path: `${o.storageUrl}/savepoints/${names.stopSavepoint(o.job.name, o.job.uid, runNumber(o), trigger)}`,
        }
      : {}),
    ...(o.spec.state === 'Drained' ? { drain: true } : {}),
  }
}

const beginRun: Policy = (o) => {
  if (activeRun(o) !== undefined || !wantsNewRun(o)) return undefined
  if (o.desired.kind === 'blocked')
    return {
      policy: 'beginRun',
      because: o.desired.blocker.message,
      steps: releaseSteps(o),
      blocker: o.desired.blocker,
      requeueAfterMs: BLOCKED_RETRY_MS,
    }
  const number = runNumber(o) + 1
  const { restore } = o.desired
  const applies = restore !== undefined && restore.hash !== o.status.restoreHash
  const run: RunStatus = {
    specHash: o.desired.specHash,
    generation: o.generation,
    startedAt: time(o.now),
    ...(applies ? { restoreHash: restore.hash } : {}),
  }
  const { attempt: _a, restoredFrom: _f, leader: _l, parallelism: _p, ...kept } = o.status
  const image = o.spec.image ?? o.defaultImage
  return {
    policy: 'beginRun',
    because:
      o.status.run === undefined ? 'the job has never run' : `run ${number - 1} is ${o.status.run.outcome}`,
    steps: [
      { kind: 'writeStatus', status: { ...blank(kept), runId: String(number), run, image, restarts: 0 } },
      ...o.taskManagers
        .filter((w) => w.run !== number)
        .map((w): Step => ({ kind: 'deleteTaskManagers', name: w.name, uid: w.uid })),
      { kind: 'ensureRun', run: number },
      ...(number > 1 ? [{ kind: 'deleteConfig', run: number - 1 } as const] : []),
      {
        kind: 'event',
        type: 'Normal',
        reason: 'RunStarted',
        message: `Run ${number} of generation ${o.generation} with image ${image}${applies ? `, restoring from ${restore.path ?? 'nothing (empty)'}` : ''}.`,
      },
    ],
    requeueAfterMs: 5000,
  }
}

/** Facts of the run before say nothing about the next one. */
function blank(status: StreamJobStatus): Partial<StreamJobStatus> {
  return {
    ...status,
    attempt: undefined,
    restoredFrom: undefined,
    leader: undefined,
    parallelism: undefined,
  } as Partial<StreamJobStatus>
}

const keepRun: Policy = (o) =>
  activeRun(o) === undefined ? undefined : keep(o, { because: 'the run goes on' })

function keep(o: Observed, more: { readonly because: string; readonly requeueAfterMs?: number }): Plan {
  const number = runNumber(o)
  const facts = currentFacts(o)
  const blocker = o.desired.kind === 'blocked' && isBlockerFelt(o) ? o.desired.blocker : undefined
  const polls = o.spec.job.configMapKeyRef === undefined ? undefined : MODULE_POLL_MS
  const requeueAfterMs = more.requeueAfterMs ?? (blocker === undefined ? polls : BLOCKED_RETRY_MS)
  return {
    policy: 'keepRun',
    because: more.because,
    steps: [
      ...(facts === undefined ? [] : restoreActed(o, facts)),
      { kind: 'ensureRun', run: number },
      ...scaleSteps(o, number),
      ...leaderSteps(o),
      ...o.taskManagers
        .filter((w) => w.run !== number)
        .map((w): Step => ({ kind: 'deleteTaskManagers', name: w.name, uid: w.uid })),
    ],
    ...(blocker === undefined ? {} : { blocker }),
    ...(requeueAfterMs === undefined ? {} : { requeueAfterMs }),
  }
}

/**
 * What blocks the next run matters once one is wanted. Without its module nobody knows; then a run
 * that works and is of this generation is taken for the wanted one.
 */
function isBlockerFelt(o: Observed): boolean {
  if (o.desired.specHash !== undefined) return isChanged(o)
  return currentFacts(o)?.state !== 'Running' || o.generation !== o.status.run?.generation
}

/** Once an attempt of the run exists, the restore block has acted and the commit log knows it. */
function restoreActed(o: Observed, facts: JobFacts): Step[] {
  const hash = o.status.run?.restoreHash
  if (hash === undefined || hash === o.status.restoreHash || facts.attempt === undefined) return []
  return [
    { kind: 'writeStatus', status: { restoreHash: hash } },
    {
      kind: 'event',
      type: 'Normal',
      reason: 'RestoreApplied',
      message: `Run ${runNumber(o)} started from ${facts.restoredFrom ?? 'nothing (empty)'}.`,
    },
  ]
}

function scaleSteps(o: Observed, number: number): Step[] {
  // Another size may need another run (parallelism unset); then the old run keeps its own until it
  // ends.
  if (o.desired.specHash !== o.status.run?.specHash) return []
  const steps: Step[] = []
  const taskManagers = o.taskManagers.find((w) => w.run === number)
  if (taskManagers !== undefined && taskManagers.replicas !== o.spec.taskManager.replicas)
    steps.push({ kind: 'scaleTaskManagers', name: taskManagers.name, replicas: o.spec.taskManager.replicas })
  if (
    o.jobManager !== undefined &&
    o.jobManager.run === number &&
    o.jobManager.replicas !== o.spec.jobManager.replicas
  )
    steps.push({ kind: 'scaleJobManager', replicas: o.spec.jobManager.replicas })
  return steps
}

/**
 * While nobody leads the labels stay: the REST Service has no better answer than the last leader.
 */
function leaderSteps(o: Observed): Step[] {
  const leader = o.facts.leader?.pod
  if (leader === undefined) return []
  return o.jobManagerPods
    .filter((p) => p.isLeader !== (p.name === leader))
    .map((p) => ({ kind: 'labelLeader', pod: p.name, isLeader: p.name === leader }))
}

const releaseRun: Policy = (o) => {
  if (o.status.run?.outcome === undefined) return undefined
  return {
    policy: 'releaseRun',
    because: `run ${runNumber(o)} is ${o.status.run.outcome}`,
    steps: releaseSteps(o),
  }
}

/** A failed job keeps its JobManagers: their logs and their REST say what happened. */
function releaseSteps(o: Observed): Step[] {
  const isFailed = o.status.run?.outcome === 'Failed' && o.spec.state === 'Running'
  return [
    ...o.taskManagers.map((w): Step => ({ kind: 'deleteTaskManagers', name: w.name, uid: w.uid })),
    ...(o.jobManager === undefined || isFailed
      ? []
      : [{ kind: 'deleteJobManager', uid: o.jobManager.uid } as const]),
  ]
}

function ended(run: RunStatus, outcome: RunOutcome, message: string): RunStatus {
  return { ...run, outcome, outcomeMessage: message.slice(0, 4000) }
}

function endEvent(number: number, outcome: RunOutcome, message: string): Step {
  return {
    kind: 'event',
    type: 'Normal',
    reason: 'RunEnded',
    message: `Run ${number} is ${outcome}${message === '' ? '' : `: ${message}`}.`,
  }
}

const POLICIES: readonly Policy[] = [recordEnd, stopRun, beginRun, keepRun, releaseRun]
