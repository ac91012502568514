import type { StreamJobSpec } from '#operator/api/v1alpha1/stream-job'
import { refusalOf } from '#operator/kube/refusal'
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

/**
 * What of an error belongs into the status of a job; undefined for what may pass by itself.
 * `isTemplated`: the spec has a podTemplate, so a refusal of pods is a refusal of that.
 */
export function problemOf(error: unknown, isTemplated: boolean): Blocker | undefined {
  if (error instanceof ApplyProblem) return error.problem
  const refusal = refusalOf(error)
  if (refusal === undefined) return undefined
  const { reason, message, needsUser, isAboutPods } = refusal
  const isPodTemplate = reason === 'ObjectRefused' && isAboutPods && isTemplated
  return { reason: isPodTemplate ? 'PodTemplateInvalid' : reason, message, needsUser }
}

export const hasPodTemplate = ({ podTemplate, jobManager, taskManager }: StreamJobSpec): boolean =>
  [podTemplate, jobManager.podTemplate, taskManager.podTemplate].some((template) => template !== undefined)

/** An object with a name that the operator needs is not this job's. */
export const nameTaken = (kind: string, name: string): Blocker => ({
  reason: 'NameTaken',
  message:
    `${kind} ${name} exists and belongs to somebody else. ` +
    'Delete it, or give the StreamJob another name.',
  needsUser: true,
})
