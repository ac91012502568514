/**
 * `/healthz`, `/readyz` and `/metrics`. Ready means that the caches are filled; it does not mean to
 * lead.
 */
import { portOf } from '#runtime/base/server-port'
import { once } from 'node:events'
import http from 'node:http'
import { messageOf } from '#runtime/base/errors'
import type { Registry } from 'prom-client'

export interface HealthSources {
  /** A reason why the process should be restarted, or undefined. */
  readonly unhealthy: () => string | undefined
  /** A reason why the process is not ready, or undefined. */
  readonly unready: () => string | undefined
  readonly registry: Registry
}

export class HealthServer {
  readonly #server: http.Server

  constructor(sources: HealthSources) {
    this.#server = http.createServer(
      (request, response) => void answer(sources, request.url ?? '/', response),
    )
  }

  /** Resolves with the port that it listens on. */
  async open(host: string, port: number): Promise<number> {
    this.#server.listen(port, host)
    await once(this.#server, 'listening')
    return portOf(this.#server)
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }
}

async function answer(sources: HealthSources, url: string, response: http.ServerResponse): Promise<void> {
  const plain = (status: number, text: string) =>
    response.writeHead(status, { 'content-type': 'text/plain' }).end(`${text}\n`)
  switch (url.split('?')[0]) {
    case '/healthz':
      plain(sources.unhealthy() === undefined ? 200 : 500, sources.unhealthy() ?? 'ok')
      return
    case '/readyz':
      plain(sources.unready() === undefined ? 200 : 503, sources.unready() ?? 'ok')
      return
    case '/metrics':
      try {
        const text = await sources.registry.metrics()
        response.writeHead(200, { 'content-type': sources.registry.contentType }).end(text)
      } catch (error) {
        plain(500, messageOf(error))
      }
      return
    default:
      plain(404, 'Not found. Try /healthz, /readyz or /metrics.')
  }
}
