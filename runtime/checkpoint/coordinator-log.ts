import { WeirError } from '#runtime/base/errors'
import type { CommitLog } from '#runtime/commit-log/commit-log'
import type { AppendResult } from './coordinator-state.ts'
import type { LogState } from '#runtime/commit-log/log-state'
import type { LogBody, LogRecordOf } from '#runtime/contract/checkpoint-records'

/** What the coordinator uses of the commit log. */
export type CoordinatorLog = Pick<
  CommitLog,
  'epoch' | 'state' | 'fenced' | 'inDoubt' | 'append' | 'settle' | 'forgetRetirements'
>

export type CompletionBody = LogRecordOf<'CHECKPOINT'> | LogRecordOf<'SAVEPOINT'>

/**
 * One round of bringing `body` into the log, to be repeated with the same body while the outcome is
 * `unknown`. Whoever appended before and left a record in doubt, or settled this one, is taken into
 * account: the answer follows from what the log says.
 */
export async function appendSettled(
  log: CoordinatorLog,
  body: CompletionBody,
): Promise<{ readonly outcome: AppendResult; readonly error?: unknown }> {
  try {
    await log.settle()
    if (!holds(log.state, body)) await log.append(body)
    return { outcome: 'appended' }
  } catch (error) {
    if (holds(log.state, body)) return { outcome: 'appended' }
    if (log.fenced !== undefined || (error instanceof WeirError && error.code === 'FENCED'))
      return { outcome: 'fenced', error }
    // In doubt with this body, or kept from trying by another record in doubt.
    return { outcome: log.inDoubt === undefined ? 'refused' : 'unknown', error }
  }
}

function holds(state: LogState, body: LogBody): boolean {
  if (body.kind === 'SAVEPOINT')
    return state.savepoints.some((s) => s.id === body.id && s.sha256 === body.sha256)
  return body.kind === 'CHECKPOINT' && state.retained.some((c) => c.id === body.id && c.epoch === body.epoch)
}
