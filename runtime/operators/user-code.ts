import { WeirError, messageOf } from '#runtime/base/errors'
import { JobFault } from '#runtime/base/job-fault'
import { preview } from '#runtime/base/preview'
import { sentence } from '#runtime/base/sentence'
import { userLocation, userStack } from '#runtime/base/user-source'
import type { OperatorContext } from './stream-operator.ts'

/** The step whose function failed. */
export interface FailedStep extends Pick<OperatorContext, 'uid' | 'location'> {
  /** `vertex/subtask` where it was called in a subtask of another step. */
  readonly subtask: number | string
}

/** What the function was called with. */
export type Given =
  | { readonly record: unknown }
  | { readonly timer: unknown }
  | { readonly window: unknown }
  | { readonly key: unknown }

const ADVICE =
  'No record is skipped: mend the function, or catch there what may be left out. Until then each ' +
  'restart comes to it again.'

/**
 * Names the step whose user code threw, the line in the user's module, and what it was called with;
 * what is named already, and Weir's own errors, pass as they are.
 */
export function userCodeError(step: FailedStep, cause: unknown, given?: Given): WeirError {
  const isFault = cause instanceof JobFault
  if (cause instanceof WeirError && !isFault) return cause
  const { uid, subtask } = step
  const about = { ...placeOf(step, cause), ...shownOf(given) }
  const sentences = [
    `Operator ${uid}, subtask ${subtask} failed: ${sentence(messageOf(cause))}`,
    ...Object.entries(about).map(([what, text]) => `${what === 'line' ? 'At' : `The ${what}:`} ${text}.`),
    ...(isFault ? [] : [ADVICE]),
  ]
  return new WeirError('USR_FAILED', sentences.join(' '), {
    cause,
    context: { uid, subtask, ...about },
    ...(isFault ? { retry: 'never' } : {}),
  })
}

/** Where it was thrown, else where the step is made. */
function placeOf({ location }: FailedStep, cause: unknown): { readonly line?: string } {
  const stack = cause instanceof Error ? cause.stack : undefined
  const line = userLocation(stack) ?? location
  if (cause instanceof Error && stack !== undefined) cause.stack = userStack(stack)
  return line === undefined ? {} : { line }
}

function shownOf(given: Given | undefined): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(given ?? {}).map(([what, value]) => [what, preview(value)]))
}
