/**
 * Deploying, step by step: the restore point is verified, the DEPLOY record appended, the
 * TaskManagers are told, and each restores and connects. A deployment may take as long as it
 * makes progress.
 */
import { toErrorData, WeirError } from '#runtime/base/errors'
import type { RestorePoint } from '#runtime/contract/checkpoint-records'
import { uses } from '../attempt.ts'
import type { At, Handlers, JobEffect, JobEventOf, Transition } from '../job-event.ts'
import type { Deploying } from '../job-phase.ts'
import { close, fail, failureOf, retryDelay, stay, timer, toAttempt } from '../job-steps.ts'
import { stopIdle } from '../job-stops.ts'
import { EXECUTING, onRuns } from './executing.ts'
import { run } from './running.ts'

const noProgressTimer = ({ settings }: At): JobEffect => timer(settings.timing.noProgressMs)

function onVerified(at: At<Deploying>, { deployment, point, url }: JobEventOf<'Verified'>): Transition {
  const { phase, state } = at
  if (deployment !== phase.deployment || phase.step !== 'verifying') return stay(state)
  return appendDeploy({ ...at, state: { ...state, restoredFrom: url } }, point)
}

function appendDeploy(at: At<Deploying>, point: RestorePoint): Transition {
  const { settings, phase, state } = at
  const { attempt } = phase
  const { run: runNumber, plan } = settings
  const why = state.error?.message ?? 'deploying'
  const record = { attempt: attempt.id, run: runNumber, planHash: plan.hash, restoreFrom: point, why }
  const logging: Deploying = { ...phase, point, step: 'logging' }
  const message = `deploying attempt ${attempt.id}`
  const body = { kind: 'DEPLOY', ...record } as const
  return stay({ ...state, phase: logging, message }, { type: 'append', body })
}

function onVerifyFailed(at: At<Deploying>, { deployment, error }: JobEventOf<'VerifyFailed'>): Transition {
  const { phase, state } = at
  if (deployment !== phase.deployment || phase.step !== 'verifying') return stay(state)
  if (error.retry !== 'backoff' && error.code !== 'STO_DENIED') return fail(at, failureOf(error))
  const tries = phase.tries + 1
  const message = `cannot read the restore point, trying again: ${error.message}`
  return stay({ ...state, phase: { ...phase, tries }, message, error }, timer(retryDelay(at, tries)))
}

function onAppended(at: At<Deploying>, { kind }: JobEventOf<'Appended'>): Transition {
  const { phase, state } = at
  const { attempt, point } = phase
  if (kind !== 'DEPLOY' || phase.step !== 'logging' || point === undefined) return stay(state)
  const restoring: Deploying = { ...phase, step: 'restoring' }
  return stay({ ...state, phase: restoring }, { type: 'deploy', attempt, point }, noProgressTimer(at))
}

function onRefused(at: At<Deploying>, { kind, error }: JobEventOf<'Refused'>): Transition {
  const { phase, state } = at
  if (kind !== 'DEPLOY' || phase.step !== 'logging') return stay(state)
  const refused: Deploying = { ...phase, step: 'refused', tries: phase.tries + 1 }
  if (error.code !== 'STO_DENIED') return fail({ ...at, phase: refused }, failureOf(error))
  const message = `cannot write the deployment to the log, trying again: ${error.message}`
  return stay({ ...state, phase: refused, message, error }, timer(retryDelay(at, refused.tries)))
}

function onTimeOut(at: At<Deploying>): Transition {
  const { deployment, choice, point, step } = at.phase
  switch (step) {
    case 'verifying':
      return stay(at.state, { type: 'verify', deployment, choice })
    case 'refused':
      return point === undefined ? stay(at.state) : appendDeploy(at, point)
    case 'logging':
      return stay(at.state)
    case 'restoring':
      return onNoProgress(at)
  }
}

function onNoProgress(at: At<Deploying>): Transition {
  const { attempt, deployed } = at.phase
  const missing = [...attempt.members].filter(([, key]) => !deployed.has(key)).map(([id]) => id)
  const limit = at.settings.timing.noProgressMs
  const text = `Deployment ${attempt.id} made no progress for ${limit} ms; not ready: ${missing.join(', ')}`
  return fail(at, failureOf(toErrorData(new WeirError('DEADLINE', text))))
}

function onHeartbeat(at: At<Deploying>, event: JobEventOf<'Heartbeat'>): Transition {
  const { phase, state } = at
  const { member, attempt, progress } = event
  if (attempt !== phase.attempt.id || progress === undefined || phase.step !== 'restoring')
    return onRuns(at, member, attempt)
  const known = phase.progress.get(member)
  const isFurther =
    progress.steps > (known?.steps ?? 0) || progress.restoredBytes > (known?.restoredBytes ?? 0)
  if (!isFurther) return stay(state)
  const further: Deploying = { ...phase, progress: new Map(phase.progress).set(member, progress) }
  const message = `deploying attempt ${attempt}: ${restoredText(further)}`
  return stay({ ...state, phase: further, message }, noProgressTimer(at))
}

function restoredText({ progress, deployed, attempt }: Deploying): string {
  const bytes = [...progress.values()].reduce((sum, p) => sum + p.restoredBytes, 0)
  return `${deployed.size} of ${attempt.members.size} TaskManagers ready, ${bytes} bytes restored`
}

function onDeployed(at: At<Deploying>, { member, attempt }: JobEventOf<'Deployed'>): Transition {
  const { phase, state } = at
  const isExpected = attempt === phase.attempt.id && phase.step === 'restoring' && uses(phase.attempt, member)
  if (!isExpected) return stay(state)
  const deployed = new Set(phase.deployed).add(member)
  const further: Deploying = { ...phase, deployed }
  if (deployed.size < phase.attempt.members.size)
    return stay({ ...state, phase: further }, noProgressTimer(at))
  return onAllDeployed({ ...at, phase: further })
}

/** Sinks have committed what they restored: all there was to do where the run is to end. */
function onAllDeployed(at: At<Deploying>): Transition {
  const { phase, settings, state, moment } = at
  const { attempt, point } = phase
  const { ending } = moment.log
  if (ending !== undefined) {
    const { status, id } = ending
    const message = `everything is committed with ${id}`
    return close(at, {
      outcome: { status, committedUpTo: id },
      message,
      waits: { settled: true, logged: true },
    })
  }
  const from = state.restoredFrom === undefined ? 'started empty' : `restored from ${state.restoredFrom}`
  const isRestored = point?.kind !== 'empty'
  return run(
    { ...at, state: { ...state, error: undefined } },
    attempt,
    `running, ${from}`,
    { type: 'startCoordinator', attempt: attempt.id, isRestored, highestId: 0 },
    toAttempt(attempt, { type: 'start', epoch: settings.epoch, attempt: attempt.id }),
  )
}

export const DEPLOYING: Handlers<Deploying> = {
  ...EXECUTING,
  Heartbeat: onHeartbeat,
  Verified: onVerified,
  VerifyFailed: onVerifyFailed,
  Appended: onAppended,
  Refused: onRefused,
  TimeOut: onTimeOut,
  Deployed: onDeployed,
  StopRequested: (at, { stop }) => stopIdle(at, stop, { settled: true, logged: at.phase.step !== 'logging' }),
}
