import { WeirError, messageOf } from '#runtime/base/errors'
import { NotSynchronous } from '#runtime/base/synchronous'
import type { OperatorContext } from './stream-operator.ts'

/**
 * Names the operator whose user code threw; what is named already, and Weir's own errors, pass as
 * they are. No restart mends code that is not synchronous.
 */
export function userCodeError(
  { uid, subtask }: Pick<OperatorContext, 'uid' | 'subtask'>,
  cause: unknown,
): WeirError {
  if (cause instanceof WeirError) return cause
  return new WeirError('USR_FAILED', `Operator ${uid}, subtask ${subtask} failed: ${messageOf(cause)}`, {
    cause,
    context: { uid, subtask },
    ...(cause instanceof NotSynchronous ? { retry: 'never' } : {}),
  })
}
