import { isForbidden } from '#operator/kube/errors'
import type { Blocker } from './observed.ts'

/** A failure that the user can see and change, so it belongs into the status. */
export class ApplyProblem extends Error {
  readonly problem: Blocker
  constructor(problem: Blocker, cause?: unknown) {
    super(problem.message, { cause })
    this.name = 'ApplyProblem'
    this.problem = problem
  }
}

export function problemOf(error: unknown): Blocker | undefined {
  if (error instanceof ApplyProblem) return error.problem
  if (isForbidden(error)) return { reason: 'QuotaExceeded', message: error.detail, needsUser: false }
  return undefined
}
