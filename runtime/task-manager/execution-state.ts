/**
 * The life of one attempt on one TaskManager, pure. Each kind says what is being waited for:
 *
 * Deploying: its parts (restored state, data connections, slots). Deployed: `start`. Running:
 * records. Stopped: behind a stop barrier, commits are all that is left. Failed: the JobManager to
 * cancel it. Canceled: nothing.
 *
 * X1 `deployed` and a failure are told once each, and never `deployed` after a failure.
 * X2 Nothing is told once it is cancelled.
 */
import type { ErrorData } from '#runtime/base/errors'
import type { SubtaskRef } from '#runtime/contract/rpc'

export type ExecutionState =
  | { readonly kind: 'Deploying'; readonly missing: ReadonlySet<string> }
  | { readonly kind: 'Deployed' }
  | { readonly kind: 'Running' }
  | { readonly kind: 'Stopped' }
  | { readonly kind: 'Failed'; readonly subtask: SubtaskRef | undefined; readonly error: ErrorData }
  | { readonly kind: 'Canceled' }

export type ExecutionEvent =
  /** A part that Deploying waits for is there. */
  | { readonly type: 'Ready'; readonly part: string }
  | { readonly type: 'Start' }
  | { readonly type: 'StopBarrier' }
  | { readonly type: 'Fail'; readonly subtask: SubtaskRef | undefined; readonly error: ErrorData }
  | { readonly type: 'Cancel' }

type EventOf<E extends ExecutionEvent['type']> = Extract<ExecutionEvent, { type: E }>

/** What the JobManager is to be told. */
export type Tell = 'deployed' | 'deployFailed' | 'failed'

export interface ExecutionStep {
  readonly state: ExecutionState
  readonly tell: Tell | undefined
}

const stay = (state: ExecutionState): ExecutionStep => ({ state, tell: undefined })

export function next(state: ExecutionState, event: ExecutionEvent): ExecutionStep {
  if (state.kind === 'Canceled') return stay(state)
  if (event.type === 'Cancel') return stay({ kind: 'Canceled' })
  if (state.kind === 'Failed') return stay(state)
  switch (event.type) {
    case 'Ready':
      return ready(state, event.part)
    case 'Start':
      return stay(state.kind === 'Deployed' ? { kind: 'Running' } : state)
    case 'StopBarrier':
      return stay(state.kind === 'Running' ? { kind: 'Stopped' } : state)
    case 'Fail':
      return failed(state, event)
  }
}

function failed({ kind }: ExecutionState, { subtask, error }: EventOf<'Fail'>): ExecutionStep {
  return {
    state: { kind: 'Failed', subtask, error },
    tell: kind === 'Deploying' ? 'deployFailed' : 'failed',
  }
}

function ready(state: ExecutionState, part: string): ExecutionStep {
  if (state.kind !== 'Deploying') return stay(state)
  const missing = new Set(state.missing)
  missing.delete(part)
  return missing.size > 0
    ? stay({ kind: 'Deploying', missing })
    : { state: { kind: 'Deployed' }, tell: 'deployed' }
}
