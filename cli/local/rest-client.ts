import { type Clock, sleep } from '#runtime/base/clock'
import { ERROR_CODES, type ErrorCode, messageOf, WeirError } from '#runtime/base/errors'
import type { ExecutionPlan } from '#runtime/contract/job-plan'
import type {
  CheckpointDetails,
  CheckpointsView,
  JobFacts,
  OperationView,
  SavepointView,
  TaskManagerView,
  VertexView,
} from '#runtime/contract/rest'

export interface StopRequest {
  readonly mode: 'checkpoint' | 'savepoint'
  readonly path?: string
  readonly drain?: boolean
}

const ANSWER_MS = 10_000
/** The server writes at least an empty line each 5 s. */
const SILENCE_MS = 15_000

/**
 * A JobManager's REST (runtime/contract/rest.ts). Every call has a deadline and rejects with the
 * server's own WeirError, or NET_LOST when nobody answers.
 */
export class RestClient {
  readonly url: string
  readonly #token: string
  constructor(url: string, token: string) {
    this.url = url.replace(/\/$/, '')
    this.#token = token
  }

  overview = (): Promise<JobFacts> => this.#call('GET', '/overview')
  plan = (): Promise<ExecutionPlan> => this.#call('GET', '/jobs/current/plan')
  checkpoints = (): Promise<CheckpointsView> => this.#call('GET', '/jobs/current/checkpoints')
  checkpoint = (id: number): Promise<CheckpointDetails> =>
    this.#call('GET', `/jobs/current/checkpoints/details/${id}`)
  savepoints = (): Promise<SavepointView[]> => this.#call('GET', '/jobs/current/savepoints')
  savepointOperation = (triggerId: string): Promise<OperationView> =>
    this.#call('GET', `/jobs/current/savepoints/${encodeURIComponent(triggerId)}`)
  taskManagers = (): Promise<TaskManagerView[]> => this.#call('GET', '/taskmanagers')
  vertices = (): Promise<VertexView[]> => this.#call('GET', '/jobs/current/vertices')
  triggerSavepoint = (request: { path?: string }): Promise<{ triggerId: string }> =>
    this.#call('POST', '/jobs/current/savepoints', request)
  triggerStop = (request: StopRequest): Promise<{ triggerId: string }> =>
    this.#call('POST', '/jobs/current/stop', request)

  /**
   * The facts now and after each change, until the connection ends (returns) or the signal aborts
   * (returns). @throws {WeirError} NET_LOST
   */
  async *events(signal: AbortSignal): AsyncGenerator<JobFacts, void, void> {
    const silence = new AbortController()
    const ends = AbortSignal.any([signal, silence.signal])
    let timer = setTimeout(() => silence.abort(), SILENCE_MS)
    try {
      const response = await this.#fetch('GET', '/events', undefined, ends)
      if (!response.ok || response.body === null) throw await refusal(response)
      let rest = ''
      for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
        clearTimeout(timer)
        timer = setTimeout(() => silence.abort(), SILENCE_MS)
        const lines = (rest + text).split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) if (line.trim() !== '') yield JSON.parse(line) as JobFacts
      }
    } catch (error) {
      if (signal.aborted) return
      throw lost(this.url, error)
    } finally {
      clearTimeout(timer)
    }
  }

  async #call<T>(method: 'GET' | 'POST', path: string, body?: object): Promise<T> {
    let response: Response
    try {
      response = await this.#fetch(method, path, body, AbortSignal.timeout(ANSWER_MS))
    } catch (error) {
      throw lost(this.url, error)
    }
    if (!response.ok) throw await refusal(response)
    return (await response.json()) as T
  }

  #fetch(method: string, path: string, body: object | undefined, signal: AbortSignal): Promise<Response> {
    return fetch(this.url + path, {
      method,
      signal,
      headers: {
        authorization: `Bearer ${this.#token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  }
}

function lost(url: string, error: unknown): WeirError {
  if (error instanceof WeirError) return error
  return new WeirError('NET_LOST', `The JobManager at ${url} does not answer (${messageOf(error)}).`, {
    cause: error,
    retry: 'backoff',
  })
}

async function refusal(response: Response): Promise<WeirError> {
  const text = await response.text()
  let data: { code?: string; message?: string } = {}
  try {
    data = JSON.parse(text) as typeof data
  } catch {
    data = { message: text.slice(0, 300) }
  }
  const code: ErrorCode =
    data.code !== undefined && Object.hasOwn(ERROR_CODES, data.code)
      ? (data.code as ErrorCode)
      : 'NET_REFUSED'
  return new WeirError(code, data.message ?? `The JobManager answered ${response.status}.`)
}

/**
 * Asks for an operation's state until it has ended. `limitMs` is the whole wait's limit. @throws
 * {WeirError} DEADLINE, or the operation's own error
 */
export async function operationEnd(
  client: RestClient,
  triggerId: string,
  options: {
    readonly clock: Clock
    readonly limitMs: number
    readonly what: string
    readonly onProgress?: (o: OperationView) => void
  },
): Promise<OperationView> {
  const end = options.clock.monotonic() + options.limitMs
  for (let pause = 20; ; pause = Math.min(pause * 1.5, 500)) {
    const operation = await client.savepointOperation(triggerId)
    options.onProgress?.(operation)
    if (operation.status === 'Completed') return operation
    if (operation.status === 'Failed')
      throw new WeirError(
        operation.error?.code ?? 'CKP_DECLINED',
        operation.error?.message ?? `${options.what} failed.`,
      )
    if (options.clock.monotonic() > end)
      throw new WeirError(
        'DEADLINE',
        `${options.what} did not complete within ${Math.round(options.limitMs / 1000)} s; it goes on in the job.`,
      )
    await sleep(options.clock, pause)
  }
}
