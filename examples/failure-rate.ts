import { boundedOutOfOrder, defineJob, files, type, valueState } from 'weir-stream'
import * as z from 'zod'

interface Request {
  readonly service: string
  readonly status: number
  /** Milliseconds since the epoch. */
  readonly at: number
}

interface Alert {
  readonly service: string
  readonly from: string
  readonly requests: number
  readonly failed: number
}

const args = z.object({
  input: z.string(),
  output: z.string(),
  /** Share of failed requests that is too much. */
  threshold: z.number().min(0).max(1).default(0.05),
  /** Requests below which a minute says nothing. */
  atLeast: z.number().int().positive().default(20),
})

/**
 * One alert for each minute in which too many requests of a service failed. Reads lines such as
 * {"service":"shop","status":503,"at":1700000000000}. A service's minute begins with its first
 * request, and a timer ends it.
 */
export default defineJob({ args }, ({ env, args: { input, output, threshold, atLeast } }) => {
  env
    .source('requests', files.jsonl<Request>(input))
    .assignTimestamps((request) => request.at, boundedOutOfOrder('5s'))
    .keyBy((request) => request.service)
    .process('failure-rate', {
      emits: type<Alert>(),
      state: { requests: valueState(0), failed: valueState(0) },
      onRecord({ status }, { state, timers, timestamp }) {
        if (state.requests.get() === 0) timers.setEventTimer(timestamp + 60_000)
        state.requests.set(state.requests.get() + 1)
        if (status >= 500) state.failed.set(state.failed.get() + 1)
      },
      onTimer({ key, time }, { state, out }) {
        const requests = state.requests.get()
        const failed = state.failed.get()
        if (requests >= atLeast && failed / requests > threshold)
          out({ service: key, from: new Date(time - 60_000).toISOString(), requests, failed })
        state.requests.clear()
        state.failed.clear()
      },
    })
    .sink('alerts', files.jsonl(output))
})
