/**
 * When to trigger the next checkpoint, pure. Times are on the monotonic clock.
 *
 * I1 At most one checkpoint in flight.
 * I2 Requests by people (manual checkpoint, savepoint, stop, final) go first, in order of arrival,
 *    and do not wait for the minimum pause.
 * I3 A periodic one waits until `minPauseMs` after the last completion of any checkpoint.
 * I4 However late it is served, one crossing of the interval gives one trigger; missed crossings
 *    are not made up for.
 * I5 Requests cannot keep the periodic one away, nor with it restore points, commits of sinks and
 *    the count of failures: when its crossing has passed, it goes second at the latest, without the
 *    pause. Only what ends the attempt goes before it always.
 * I6 Nothing is triggered behind a stop or final request that was triggered, unless it failed.
 */

/** Durations in milliseconds. */
export interface DeciderOptions {
  readonly intervalMs: number
  readonly minPauseMs: number
  /** Most requests waiting. */
  readonly maxQueued: number
}

export interface QueuedRequest {
  readonly triggerId: string
  /** It is the last one of the attempt: with it the job stops or ends. */
  readonly last: boolean
}

export interface DeciderState<R extends QueuedRequest = QueuedRequest> {
  readonly queue: readonly R[]
  /** Time at which the next periodic checkpoint is due; undefined while no attempt runs. */
  readonly dueAt: number | undefined
  readonly completedAt: number | undefined
  readonly inFlight: 'none' | 'some' | 'last'
  /** The checkpoint triggered last was asked for by a request. */
  readonly servedRequest: boolean
  /** A request that ends the attempt has completed: nothing more is triggered in it. */
  readonly ended: boolean
}

export type Decision<R extends QueuedRequest> =
  | { readonly action: 'trigger'; readonly request: R | undefined; readonly state: DeciderState<R> }
  /** Ask again at `at` (monotonic); undefined: only after another event. */
  | { readonly action: 'wait'; readonly at: number | undefined }

export function initialDecider<R extends QueuedRequest>(): DeciderState<R> {
  return {
    queue: [],
    dueAt: undefined,
    completedAt: undefined,
    inFlight: 'none',
    servedRequest: false,
    ended: false,
  }
}

/** All subtasks of a new attempt run. */
export function onStarted<R extends QueuedRequest>(
  state: DeciderState<R>,
  now: number,
  options: DeciderOptions,
): DeciderState<R> {
  return { ...state, dueAt: now + options.intervalMs, inFlight: 'none', ended: false }
}

/** The attempt is over; queued requests are left to the caller (they are the second result). */
export function onStopped<R extends QueuedRequest>(
  state: DeciderState<R>,
): { state: DeciderState<R>; dropped: readonly R[] } {
  return {
    state: { ...state, queue: [], dueAt: undefined, inFlight: 'none', ended: false },
    dropped: state.queue,
  }
}

export function offer<R extends QueuedRequest>(
  state: DeciderState<R>,
  request: R,
  options: DeciderOptions,
): { readonly outcome: 'queued' | 'full'; readonly state: DeciderState<R> } {
  if (state.queue.length >= options.maxQueued) return { outcome: 'full', state }
  return { outcome: 'queued', state: { ...state, queue: [...state.queue, request] } }
}

/** The one in flight is over. */
export function onFinished<R extends QueuedRequest>(
  state: DeciderState<R>,
  now: number,
  completed: boolean,
): DeciderState<R> {
  return {
    ...state,
    inFlight: 'none',
    completedAt: completed ? now : state.completedAt,
    ended: state.ended || (completed && state.inFlight === 'last'),
  }
}

export function decide<R extends QueuedRequest>(
  state: DeciderState<R>,
  now: number,
  options: DeciderOptions,
): Decision<R> {
  const { dueAt, completedAt = -Infinity } = state
  if (dueAt === undefined || state.inFlight !== 'none' || state.ended)
    return { action: 'wait', at: undefined }
  const [request] = state.queue
  if (request !== undefined && goesFirst(request, state.servedRequest && now >= dueAt))
    return triggerRequest(state, request)
  const earliest = request === undefined ? Math.max(dueAt, completedAt + options.minPauseMs) : dueAt
  if (now < earliest) return { action: 'wait', at: earliest }
  const following = crossingAfter(dueAt, now, options)
  return {
    action: 'trigger',
    request: undefined,
    state: { ...state, inFlight: 'some', servedRequest: false, dueAt: following },
  }
}

const goesFirst = ({ last }: QueuedRequest, isTurnOfPeriodic: boolean): boolean => last || !isTurnOfPeriodic

/** `request`: the first of the queue. */
function triggerRequest<R extends QueuedRequest>(state: DeciderState<R>, request: R): Decision<R> {
  const inFlight = request.last ? 'last' : 'some'
  const queue = state.queue.slice(1)
  return { action: 'trigger', request, state: { ...state, queue, inFlight, servedRequest: true } }
}

/**
 * On the grid while triggers are served within an interval, so that there is no drift; counted anew
 * after a longer delay.
 */
function crossingAfter(dueAt: number, now: number, options: DeciderOptions): number {
  const following = dueAt + options.intervalMs
  return following > now ? following : now + options.intervalMs
}
