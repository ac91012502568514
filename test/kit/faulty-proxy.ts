import {
  createServer,
  request as send,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'

export interface ProxiedRequest {
  /** From 0, in the order of arrival. */
  readonly index: number
  readonly method: string
  /** Path and query. */
  readonly url: string
}

/**
 * `unavailable`, `denied`: the proxy answers 503 or 403. `silence`: nobody ever answers. `cut`: the
 * connection breaks before the server gets the request. `lose-answer`: the server does what it is
 * asked, and the connection breaks instead of the answer; `keep-answer`: the answer never comes.
 * `kill-before`, `-during`, `-after`: the server is killed before it gets the request, when it has
 * it, or when it has answered; the client's connection breaks.
 */
export type Verdict =
  | 'forward'
  | keyof typeof REFUSALS
  | 'silence'
  | 'cut'
  | 'lose-answer'
  | 'keep-answer'
  | 'kill-before'
  | 'kill-during'
  | 'kill-after'

const REFUSALS = {
  unavailable: { status: 503, code: 'SlowDown', message: 'Please reduce your request rate.' },
  denied: { status: 403, code: 'AccessDenied', message: 'Access denied.' },
} as const
type PassVerdict = 'forward' | 'keep-answer' | 'lose-answer' | 'kill-during' | 'kill-after'
interface Passed {
  readonly incoming: IncomingMessage
  readonly body: Buffer
  readonly response: ServerResponse
}
const isRefusal = (verdict: Verdict): verdict is keyof typeof REFUSALS => verdict in REFUSALS

export interface FaultyProxyOptions {
  /** `http://127.0.0.1:port` of the server. */
  readonly target: string
  /** Kills the server and starts it again: for verdicts that say so. */
  readonly kill: () => Promise<void>
}

/** Stands in front of an HTTP server and decides what becomes of each request. */
export class FaultyProxy implements AsyncDisposable {
  readonly requests: ProxiedRequest[] = []
  decide: (request: ProxiedRequest) => Verdict | Promise<Verdict> = () => 'forward'
  readonly #options: FaultyProxyOptions
  readonly #server: Server

  private constructor(options: FaultyProxyOptions) {
    this.#options = options
    this.#server = createServer((request, response) => void this.#serve(request, response))
  }

  static async start(options: FaultyProxyOptions): Promise<FaultyProxy> {
    const proxy = new FaultyProxy(options)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Breaks the connections of all clients, answered or not. */
  breakConnections(): void {
    this.#server.closeAllConnections()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', url = '/' } = incoming
    const proxied = { index: this.requests.length, method, url }
    this.requests.push(proxied)
    const body = await bodyOf(incoming)
    if (body === undefined) return
    const verdict = await this.decide(proxied)
    if (verdict === 'silence') return
    if (verdict === 'cut') return void response.destroy()
    if (verdict === 'kill-before') return this.#kill(response)
    if (isRefusal(verdict)) return refuse(response, verdict)
    await this.#pass({ incoming, body, response }, verdict)
  }

  /** The server gets the request. */
  async #pass({ incoming, body, response }: Passed, verdict: PassVerdict): Promise<void> {
    const answer = this.#forward(incoming, body)
    if (verdict === 'kill-during') return this.#kill(response)
    const answered = await answer
    if (verdict === 'kill-after') return this.#kill(response)
    if (verdict === 'keep-answer') return
    if (answered === undefined || verdict === 'lose-answer') return void response.destroy()
    response.writeHead(answered.status, answered.headers)
    response.end(answered.body)
  }

  async #kill(response: ServerResponse): Promise<void> {
    await this.#options.kill()
    response.destroy()
  }

  /** With the client's headers as they are: they are signed. Undefined: the connection broke. */
  async #forward({ method, url, headers }: IncomingMessage, body: Buffer) {
    try {
      const upstream = send(`${this.#options.target}${url}`, { method, headers, agent: false })
      upstream.end(body)
      const [answer] = (await once(upstream, 'response')) as [IncomingMessage]
      const { statusCode: status = 500, headers: answered } = answer
      return { status, headers: answered, body: Buffer.concat(await answer.toArray()) }
    } catch {
      return undefined
    }
  }
}

/** Undefined: the client broke off. */
async function bodyOf(incoming: IncomingMessage): Promise<Buffer | undefined> {
  try {
    return Buffer.concat(await incoming.toArray())
  } catch {
    return undefined
  }
}

function refuse(response: ServerResponse, verdict: keyof typeof REFUSALS): void {
  const { status, code, message } = REFUSALS[verdict]
  response.writeHead(status, { 'content-type': 'application/xml' })
  response.end(`<Error><Code>${code}</Code><Message>${message}</Message></Error>`)
}
