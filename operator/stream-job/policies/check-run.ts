import type { RunStatus } from '#operator/api/v1alpha1/stream-job-status'
import { parseDuration } from '#runtime/base/units'
import { sentence } from '#runtime/base/sentence'
import { findCondition } from '#operator/api/conditions'
import { checkId } from '#operator/resources/spec-hash'
import type { CheckResult } from '../check.ts'
import { notReadySince } from '../deadline.ts'
import type { Blocker, Desired, Observed } from '../observed.ts'
import type { Plan, Policy } from '../plan.ts'
import { activeRun, currentFacts, isRestartAsked, isTokenLost, runNumber, wantsNewRun } from '../run-state.ts'
import { deleteChecks, kept } from './keep-run.ts'
import { requestStop } from './stop-run.ts'

type Ready = Extract<Desired, { kind: 'ready' }>

/** A cluster without room for one more pod is not waited for longer than this. */
const NO_ROOM_MS = 30_000
const LOOK_AGAIN_MS = 5000

/**
 * A run works and another spec is to replace it: before it is stopped, a pod of the next run's
 * image builds the plan and looks at what it would start from. A run that would fail is refused and
 * the one under way goes on. Only what is known to fail is refused: where the check itself is not
 * possible, the upgrade goes on, and that is said.
 */
export const checkRun: Policy = (o) => {
  const run = activeRun(o)
  const { desired } = o
  if (run === undefined || desired.kind !== 'ready' || !isToCheck(o, run, desired)) return undefined
  const { specHash, restore } = desired
  const restartedAt = isRestartAsked(o) ? o.restartedAt : undefined
  const id = checkId([o.job.uid, specHash, restore?.hash, restartedAt])
  const check = o.checks.find((c) => c.id === id)
  const found: Found = { o, run, id }
  if (check === undefined) return wasRefusedByQuota(o) ? skip(found, QUOTA) : begin(found)
  return planFor(found, check.result)
}

interface Found {
  readonly o: Observed
  readonly run: RunStatus
  readonly id: string
}

/** Another scale alone is not checked: the code and the state are the same. */
function isToCheck(o: Observed, run: RunStatus, desired: Ready): boolean {
  if (o.spec.state !== 'Running' || run.stopRequestedAt !== undefined || isTokenLost(o)) return false
  if (currentFacts(o)?.state !== 'Running' || !wantsNewRun(o)) return false
  return desired.unscaledHash !== run.specHash || isRestoreWanted(o, run, desired)
}

const isRestoreWanted = ({ status }: Observed, run: RunStatus, { restore }: Ready): boolean =>
  restore !== undefined && restore.hash !== status.restoreHash && restore.hash !== run.restoreHash

function planFor(found: Found, result: CheckResult): Plan | undefined {
  switch (result.kind) {
    case 'passed':
      return undefined
    case 'refused':
      return refused(found, result.message)
    case 'unknown':
      return skip(found, `its check is not known: ${result.message}`)
    case 'awaited':
      return awaited(found, result)
  }
}

const QUOTA = 'a quota of the namespace refuses the pod that would check it'

/** Said by the try before. */
const wasRefusedByQuota = ({ status }: Observed): boolean =>
  findCondition(status.conditions, 'Ready')?.reason === 'QuotaExceeded'

const waiting = ({ o, id }: Found, more: Partial<Plan> = {}): Plan => {
  const { steps, ...how } = kept(o)
  return {
    policy: 'checkRun',
    message: `the spec has changed; the next run is checked before run ${runNumber(o)} is stopped`,
    ...how,
    requeueAfterMs: LOOK_AGAIN_MS,
    ...more,
    steps: [...steps, ...deleteChecks(o, id), ...(more.steps ?? [])],
  }
}

const begin = (found: Found): Plan => waiting(found, { steps: [{ kind: 'ensureCheck', id: found.id }] })

function awaited(found: Found, { problem }: Extract<CheckResult, { kind: 'awaited' }>): Plan {
  const { deadline } = found.o.spec.upgrade
  const waitedMs = found.o.now - notReadySince(found.o)
  if (problem?.reason === 'Unschedulable')
    return waitedMs > NO_ROOM_MS ? skip(found, problem.message) : waiting(found)
  if (problem !== undefined)
    return waiting(found, { blocker: { ...goesOn(found, problem.message), reason: problem.reason } })
  const limitMs = parseDuration(deadline)
  return waitedMs > limitMs ? skip(found, `its check takes more than ${deadline}`) : waiting(found)
}

const goesOn = ({ o }: Found, why: string): Omit<Blocker, 'reason'> => ({
  message: `The next run would not work: ${sentence(why)} Run ${runNumber(o)} goes on.`,
  needsUser: false,
})

function refused(found: Found, why: string): Plan {
  const blocker = { ...goesOn(found, why), reason: 'UpgradeRefused', needsUser: true } as const
  return waiting(found, { blocker })
}

function skip(found: Found, why: string): Plan {
  const plan = requestStop({ ...found, cause: 'the spec has changed' })
  const message = `The next run begins unchecked: ${why}`
  return {
    ...plan,
    steps: [{ kind: 'event', type: 'Warning', reason: 'CheckSkipped', message }, ...plan.steps],
  }
}
