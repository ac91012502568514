/**
 * The client of a JobManager's REST (rest.ts): for the operator, the command line, tests and
 * benchmarks. Every request has a limit and fails fast; who asks decides whether to ask again.
 */
import { once } from 'node:events'
import http from 'node:http'
import { text as textOf } from 'node:stream/consumers'
import { member, textMember } from '#runtime/base/member'
import type { Clock } from '#runtime/base/clock'
import { isErrorCode, type ErrorCode, messageOf, systemCode, WeirError } from '#runtime/base/errors'
import { linesOf } from '#runtime/base/lines'
import { watchdog } from '#runtime/base/watchdog'
import type {
  CheckpointsView,
  JobFacts,
  OperationView,
  PinRequest,
  PinView,
  SavepointRequest,
  StopRequest,
  Triggered,
  VertexView,
} from './rest.ts'

export interface JobManagerAddress {
  /** `http://host:port`, without a slash at the end. */
  readonly url: string
  /** The job's secret; from loopback none is needed. */
  readonly token?: string
}

export interface JobManagerLimits {
  readonly clock: Clock
  /** Milliseconds within which a request is answered. */
  readonly answerMs?: number
  /** Milliseconds without a byte after which a stream of facts is given up. */
  readonly silenceMs?: number
}

interface Request {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body?: object
}

const ANSWER_MS = 10_000
/** A stream has a connection of its own for as long as it lasts. */
const STREAMS = new http.Agent({ keepAlive: false })
/** A JobManager writes its facts every second, whatever happens. */
const SILENCE_MS = 15_000

/**
 * All methods reject with the WeirError that the JobManager answers, its code kept; with
 * NET_REFUSED when it answers something else that is no success; with NET_LOST when it does not
 * answer in time.
 */
export class JobManagerClient {
  readonly #address: JobManagerAddress
  readonly #limits: JobManagerLimits

  constructor(address: JobManagerAddress, limits: JobManagerLimits) {
    this.#address = address
    this.#limits = limits
  }

  get url(): string {
    return this.#address.url
  }

  overview(): Promise<JobFacts> {
    return this.#call({ method: 'GET', path: '/overview' })
  }
  vertices(): Promise<VertexView[]> {
    return this.#call({ method: 'GET', path: '/jobs/current/vertices' })
  }
  checkpoints(): Promise<CheckpointsView> {
    return this.#call({ method: 'GET', path: '/jobs/current/checkpoints' })
  }
  savepointOperation(triggerId: string): Promise<OperationView> {
    return this.#call({ method: 'GET', path: `/jobs/current/savepoints/${encodeURIComponent(triggerId)}` })
  }
  triggerSavepoint(body: SavepointRequest): Promise<Triggered> {
    return this.#call({ method: 'POST', path: '/jobs/current/savepoints', body })
  }
  /** Rejects with CKP_RESTORE when the job does not retain that checkpoint. */
  pin(body: PinRequest): Promise<PinView> {
    return this.#call({ method: 'POST', path: '/jobs/current/pins', body })
  }
  triggerStop(body: StopRequest): Promise<Triggered> {
    return this.#call({ method: 'POST', path: '/jobs/current/stop', body })
  }

  /**
   * The current facts at once, then after each change and every second. Returns when the JobManager
   * ends the stream or `signal` aborts; rejects as the other methods do, also after `silenceMs`
   * without a byte.
   */
  async *events(signal: AbortSignal): AsyncGenerator<JobFacts, void, void> {
    const { clock, silenceMs = SILENCE_MS } = this.#limits
    const silence = watchdog(clock, silenceMs, 'nothing heard')
    try {
      const ends = AbortSignal.any([signal, silence.signal])
      const lines = linesOf(await this.#listen('/events', ends), silence.touch)
      for await (const line of lines) yield JSON.parse(line) as JobFacts
    } catch (error) {
      if (!signal.aborted) throw this.#lost(error, silence.signal)
    } finally {
      silence.cancel()
    }
  }

  async #call<T>(request: Request): Promise<T> {
    const { clock, answerMs = ANSWER_MS } = this.#limits
    const deadline = watchdog(clock, answerMs, 'no answer')
    try {
      return (await (await this.#open(request, deadline.signal)).json()) as T
    } catch (error) {
      throw this.#lost(error, deadline.signal)
    } finally {
      deadline.cancel()
    }
  }

  /** The response, once its status says success. */
  async #open({ method, path, body }: Request, signal: AbortSignal): Promise<Response> {
    const { url, token } = this.#address
    const response = await fetch(url + path, {
      method,
      signal,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    if (response.ok) return response
    throw refusal(`${method} ${path} of the JobManager at ${url}`, response.status, await response.text())
  }

  /**
   * As `#open`, for an answer that does not end. An operator holds thousands of these, and one by
   * `fetch` takes 100 KiB.
   */
  async #listen(path: string, signal: AbortSignal): Promise<AsyncIterable<string>> {
    const { url, token } = this.#address
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
    const request = http.get(url + path, { agent: STREAMS, headers, signal })
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    // What breaks an answer that nobody reads any more is no news.
    request.on('error', () => undefined)
    response.setEncoding('utf8')
    if (response.statusCode === 200) return response as AsyncIterable<string>
    throw refusal(`GET ${path} of the JobManager at ${url}`, response.statusCode, await textOf(response))
  }

  #lost(error: unknown, limit: AbortSignal): WeirError {
    const cause: unknown = limit.aborted ? limit.reason : error
    if (cause instanceof WeirError && cause !== limit.reason) return cause
    // fetch hides the reason, such as ECONNREFUSED, in the cause of its own error.
    const hidden = cause instanceof Error ? cause.cause : undefined
    const known = cause instanceof WeirError ? undefined : (systemCode(hidden) ?? systemCode(cause))
    const why = known ?? messageOf(cause)
    const text = `The JobManager at ${this.url} does not answer: ${why}`
    return new WeirError('NET_LOST', text, { cause, retry: 'backoff' })
  }
}

/** The error in an answer `{code, message}`; anything else that came instead is quoted. */
function refusal(what: string, status: number | undefined, answer: string): WeirError {
  const { code, message } = parseRefusal(answer)
  const context = { status }
  if (code !== undefined && message !== undefined) return new WeirError(code, message, { context })
  return new WeirError('NET_REFUSED', `${what} failed with ${status}: ${answer.slice(0, 300)}`, { context })
}

function parseRefusal(answer: string): { readonly code?: ErrorCode; readonly message?: string } {
  try {
    const parsed: unknown = JSON.parse(answer)
    const code = member(parsed, 'code')
    const message = textMember(parsed, 'message')
    if (isErrorCode(code) && message !== undefined) return { code, message }
  } catch {
    // Not JSON: a proxy answered.
  }
  return {}
}
