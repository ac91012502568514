import http from 'node:http'
import { text } from 'node:stream/consumers'
import { messageOf, WeirError } from '#runtime/base/errors'
import type { JobFacts } from '#runtime/contract/rest'
import { linesOf } from '#operator/kube/lines'

/**
 * REST of a JobManager as far as the operator needs it. Requests fail fast; the reconciler tries
 * again.
 */
export interface JobAddress {
  readonly host: string
  readonly port: number
  readonly token: string
}

export interface StopRequest {
  readonly triggerId: string
  readonly mode: 'checkpoint' | 'savepoint'
  readonly path?: string
  readonly drain?: boolean
}

const REQUEST_TIMEOUT_MS = 5000

export class JobClient {
  readonly #agent = new http.Agent({ keepAlive: true, maxFreeSockets: 16 })

  close(): void {
    this.#agent.destroy()
  }

  /**
   * Facts of one JobManager: the current ones at once, then after each change. `onChunk` is called
   * for every sign of life. Throws when the stream breaks.
   */
  async *events(address: JobAddress, signal: AbortSignal, onChunk: () => void): AsyncGenerator<JobFacts> {
    const response = await this.#open(address, 'GET', '/events', undefined, signal)
    onChunk()
    try {
      for await (const line of linesOf(response, onChunk)) yield JSON.parse(line) as JobFacts
    } finally {
      response.destroy()
    }
  }

  stop(address: JobAddress, request: StopRequest): Promise<{ readonly triggerId: string }> {
    return this.#json(address, 'POST', '/jobs/current/stop', request)
  }

  savepoint(
    address: JobAddress,
    request: { readonly triggerId: string; readonly path: string },
  ): Promise<{ readonly triggerId: string }> {
    return this.#json(address, 'POST', '/jobs/current/savepoints', request)
  }

  async #json<T>(address: JobAddress, method: string, path: string, body?: object): Promise<T> {
    const response = await this.#open(address, method, path, body, AbortSignal.timeout(REQUEST_TIMEOUT_MS))
    return JSON.parse(await text(response)) as T
  }

  async #open(
    address: JobAddress,
    method: string,
    path: string,
    body: object | undefined,
    signal: AbortSignal,
  ): Promise<http.IncomingMessage> {
    const what = `${method} ${path} of the JobManager at ${address.host}:${address.port}`
    const payload = body === undefined ? undefined : JSON.stringify(body)
    const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
      const headers = {
        authorization: `Bearer ${address.token}`,
        ...(payload === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(payload)) }),
      }
      const request = http.request(
        { host: address.host, port: address.port, method, path, headers, signal, agent: this.#agent },
        resolve,
      )
      request.on('error', reject)
      request.end(payload)
    }).catch((error: unknown) => {
      throw new WeirError('NET_LOST', `${what} got no answer: ${messageOf(error)}`, {
        cause: error,
        retry: 'backoff',
      })
    })
    const status = response.statusCode ?? 0
    if (status >= 200 && status < 300) return response
    const answer = await text(response).catch(() => '')
    throw new WeirError('NET_REFUSED', `${what} failed with ${status}: ${answer.slice(0, 500)}`, {
      context: { status },
    })
  }
}
