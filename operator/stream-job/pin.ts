import type { Clock } from '#runtime/base/clock'
import { type ErrorCode, WeirError } from '#runtime/base/errors'
import { JobManagerClient } from '#runtime/contract/job-manager-client'
import { ApplyProblem } from './apply-problem.ts'
import type { StepOf } from './plan.ts'

const ANSWER_MS = 5000
/** Refusals that asking again does not change. */
const FINAL: ReadonlySet<ErrorCode> = new Set(['CKP_RESTORE', 'CFG_INVALID'])

/**
 * Asks the leader of another job to keep the checkpoint that this one starts from.
 * @throws {ApplyProblem} RestoreImpossible when it does not retain it any more
 * @throws {WeirError} NET_LOST, NET_REFUSED, FENCED: asked again by the next reconcile
 */
export async function pinSource({ address, request }: StepOf<'pinSource'>, clock: Clock): Promise<void> {
  try {
    await new JobManagerClient(address, { clock, answerMs: ANSWER_MS }).pin(request)
  } catch (error) {
    if (!(error instanceof WeirError) || !FINAL.has(error.code)) throw error
    const { message } = error
    throw new ApplyProblem({ reason: 'RestoreImpossible', message, needsUser: true }, error)
  }
}
