import { WeirError, messageOf } from '#runtime/base/errors'
import type { OperatorContext } from './stream-operator.ts'

/**
 * Names the operator whose user code threw; what is named already, and Weir's own errors, pass as
 * they are.
 */
export function userCodeError(
  { uid, subtask }: Pick<OperatorContext, 'uid' | 'subtask'>,
  cause: unknown,
): WeirError {
  if (cause instanceof WeirError) return cause
  return new WeirError('USR_FAILED', `Operator ${uid}, subtask ${subtask} failed: ${messageOf(cause)}`, {
    cause,
    context: { uid, subtask },
  })
}
