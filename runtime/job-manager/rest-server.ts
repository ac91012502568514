/**
 * REST of contract/rest.ts. Loopback callers need no token: who is on the machine already may read
 * the token file.
 */
import { member } from '#runtime/base/member'
import { portOf } from '#runtime/base/server-port'
import { randomUUID } from 'node:crypto'
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import * as z from 'zod'
import type { Clock, Timer } from '#runtime/base/clock'
import { WeirError, messageOf, type ErrorCode } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import type { JobState } from '#runtime/contract/rest'
import { tokenMatches } from '#runtime/net/token'
import { checkpointsView, vertexViews } from './facts.ts'
import type { JobManager } from './job-manager.ts'
import type { JobMaster } from './job-master.ts'
import type { JobMetrics } from './metrics.ts'

/** What the REST server shows; read at each request. */
export type RestSource = Pick<JobManager, 'facts' | 'plan' | 'master' | 'registry' | 'isReady' | 'savepoints'>

export interface RestServerOptions {
  readonly host: string
  readonly port: number
  readonly token: string
  readonly clock: Clock
  readonly logger: Logger
  readonly source: RestSource
  readonly metrics: JobMetrics
  readonly timing?: RestTiming
}

export interface RestTiming {
  /** For a whole request to arrive, looked at as often. */
  readonly requestMs: number
  /** From a change to the line that tells of it. */
  readonly debounceMs: number
  /** Between lines while nothing changes. */
  readonly beatMs: number
}

const TIMING: RestTiming = { requestMs: 10_000, debounceMs: 50, beatMs: 1000 }
const OPEN_PATHS = new Set(['/healthz', '/readyz', '/metrics'])
const BODY_BYTES = 64 * 1024
/** A reader of events that has fallen back by more is cut off; it dials again and starts afresh. */
const STREAM_BACKLOG_BYTES = 4 * 1024 * 1024

const triggerBody = z.strictObject({
  triggerId: z.string().min(1).max(200).optional(),
  path: z.string().min(1).optional(),
})
const stopBody = triggerBody.extend({
  mode: z.enum(['checkpoint', 'savepoint']).default('checkpoint'),
  drain: z.boolean().default(false),
})

const pinBody = z.strictObject({ path: z.string().min(1), by: z.string().min(1).max(500) })

export class RestServer {
  readonly #options: RestServerOptions
  readonly #timing: RestTiming
  readonly #app: FastifyInstance
  readonly #streams = new Set<FastifyReply['raw']>()
  #pending: Timer | undefined
  #toldState: JobState | undefined
  #keepAlive: Timer | undefined
  #closed = false

  constructor(options: RestServerOptions) {
    const { timing = TIMING } = options
    const { requestMs } = timing
    this.#options = options
    this.#timing = timing
    this.#app = fastify({
      logger: false,
      bodyLimit: BODY_BYTES,
      forceCloseConnections: true,
      requestTimeout: requestMs,
      http: { headersTimeout: requestMs, connectionsCheckingInterval: requestMs },
    })
    this.#views()
    this.#commands()
  }

  /** The port it listens on. */
  async listen(): Promise<number> {
    const { host, port } = this.#options
    try {
      await this.#app.listen({ host, port })
    } catch (cause) {
      throw new WeirError('CFG_INVALID', `Cannot listen for REST on ${host}:${port}: ${messageOf(cause)}`, {
        cause,
      })
    }
    this.#beat()
    return portOf(this.#app.server)
  }

  /**
   * Something in the facts changed: tell the event streams soon, once for many changes; at once
   * where it is the state of the job, so that none is passed over, however short.
   */
  changed(): void {
    if (this.#closed) return
    if (this.#state() !== this.#toldState) return this.#broadcast()
    this.#pending ??= this.#options.clock.after(this.#timing.debounceMs, () => this.#broadcast())
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#pending?.cancel()
    this.#keepAlive?.cancel()
    if (this.#streams.size > 0) this.#broadcast()
    for (const stream of this.#streams) stream.end()
    await this.#app.close()
  }

  /** What it shows, and to whom. */
  #views(): void {
    const app = this.#app
    const { source, metrics } = this.#options
    app.addHook('onRequest', async (request, reply) => this.#authenticate(request, reply))
    app.setErrorHandler((error, _request, reply) => this.#fail(reply, error))
    app.setNotFoundHandler((request, reply) =>
      reply
        .code(404)
        .send({ code: 'CFG_INVALID', message: `No such resource: ${request.method} ${request.url}` }),
    )
    app.get('/healthz', async () => ({ ok: true }))
    app.get('/readyz', async (_request, reply) =>
      source.isReady ? { ok: true } : reply.code(503).send({ ok: false, message: source.facts().message }),
    )
    app.get('/metrics', async (_request, reply) => {
      const text = await metrics.render(
        source.facts(),
        vertexViews(source.plan, source.master, source.registry),
        this.#options.clock.now(),
      )
      return reply.type(metrics.contentType).send(text)
    })
    app.get('/overview', async () => source.facts())
    app.get('/events', (_request, reply) => this.#stream(reply))
    app.get('/taskmanagers', async () => source.registry.views())
    app.get('/jobs/:job/plan', async () => source.plan ?? notYet('a plan'))
    app.get('/jobs/:job/vertices', async () => vertexViews(source.plan, source.master, source.registry))
    app.get('/jobs/:job/exceptions', async () => source.master?.exceptions ?? [])
    app.get('/jobs/:job/checkpoints', async () => checkpointsView(source.master?.coordinator))
    app.get<{ Params: { id: string } }>(
      '/jobs/:job/checkpoints/details/:id',
      async ({ params }) =>
        this.#leader().coordinator.details(Number(params.id)) ?? notFound(`checkpoint ${params.id}`),
    )
    app.get('/jobs/:job/savepoints', async () => source.savepoints)
  }

  /** What a leader does, and what has become of it. */
  #commands(): void {
    const app = this.#app
    app.get<{ Params: { triggerId: string } }>('/jobs/:job/checkpoints/:triggerId', async ({ params }) =>
      this.#operation(params.triggerId),
    )
    app.post('/jobs/:job/checkpoints', async ({ body }) => {
      const { triggerId = randomUUID() } = parse(triggerBody, body)
      return { triggerId: this.#leader().checkpoint(triggerId).triggerId }
    })
    app.get<{ Params: { triggerId: string } }>('/jobs/:job/savepoints/:triggerId', async ({ params }) =>
      this.#operation(params.triggerId),
    )
    app.post('/jobs/:job/savepoints', async ({ body }) => {
      const { triggerId = randomUUID(), path } = parse(triggerBody, body)
      return { triggerId: this.#leader().savepoint(triggerId, path).triggerId }
    })
    app.post('/jobs/:job/pins', async ({ body }) => this.#leader().coordinator.pin(parse(pinBody, body)))
    app.post('/jobs/:job/stop', async ({ body }) => {
      const { triggerId = randomUUID(), mode, path, drain } = parse(stopBody, body)
      if (mode === 'checkpoint' && path !== undefined)
        throw new WeirError(
          'CFG_INVALID',
          `A stop with a checkpoint takes no path; got ${JSON.stringify(path)}.`,
        )
      const savepoint = mode === 'savepoint' ? { path } : undefined
      return { triggerId: this.#leader().stop({ triggerId, savepoint, drain }).triggerId }
    })
  }

  async #authenticate(request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
    const [path = ''] = request.url.split('?')
    if (OPEN_PATHS.has(path) || isLoopback(request.ip)) return undefined
    const given = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1]
    if (given !== undefined && tokenMatches(this.#options.token, given)) return undefined
    return reply
      .code(401)
      .send({ code: 'NET_REFUSED', message: 'Authorization is needed: Bearer and the token of this job' })
  }

  #leader(): JobMaster {
    const { source } = this.#options
    if (source.master !== undefined) return source.master
    const { leader, message } = source.facts()
    throw new WeirError(
      'NET_REFUSED',
      leader === undefined
        ? `This JobManager does not lead: ${message}`
        : `This JobManager is a standby; ${leader} leads`,
    )
  }

  #operation(triggerId: string) {
    return this.#leader().operations.find(triggerId) ?? notFound(`operation ${triggerId}`)
  }

  #fail(reply: FastifyReply, error: unknown): FastifyReply {
    const { status, ...body } = answerTo(error)
    if (status === 500) this.#options.logger.error({ err: error }, 'REST request failed')
    return reply.code(status).send(body)
  }

  #stream(reply: FastifyReply): void {
    reply.hijack()
    const raw = reply.raw
    raw.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' })
    this.#toldState = this.#state()
    raw.write(`${JSON.stringify(this.#options.source.facts())}\n`)
    this.#streams.add(raw)
    raw.on('close', () => this.#streams.delete(raw))
  }

  #state(): JobState | undefined {
    return this.#options.source.master?.view().state
  }

  /** Tells all that there is to tell, also what was to be told soon. */
  #broadcast(): void {
    this.#pending?.cancel()
    this.#pending = undefined
    this.#toldState = this.#state()
    const line = `${JSON.stringify(this.#options.source.facts())}\n`
    for (const stream of this.#streams)
      if (stream.writableLength > STREAM_BACKLOG_BYTES) stream.destroy()
      else stream.write(line)
  }

  /**
   * Rates and counters move without an event; the line also tells readers that the connection
   * lives.
   */
  #beat(): void {
    this.#keepAlive = this.#options.clock.after(this.#timing.beatMs, () => {
      this.#broadcast()
      this.#beat()
    })
  }
}

class NotFound extends Error {}
function notFound(what: string): never {
  throw new NotFound(`There is no ${what}`)
}
function notYet(what: string): never {
  throw new NotFound(`There is no ${what} yet`)
}

function parse<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body ?? {})
  if (result.success) return result.data
  throw new WeirError('CFG_INVALID', `The request body is not valid: ${z.prettifyError(result.error)}`)
}

/** Status of errors that are the caller's; all others are 500. */
const STATUS: Partial<Record<ErrorCode, number>> = { CFG_INVALID: 400, CKP_RESTORE: 409, NET_REFUSED: 421 }

function answerTo(error: unknown): { status: number; code: ErrorCode; message: string } {
  const message = messageOf(error)
  if (error instanceof NotFound) return { status: 404, code: 'CFG_INVALID', message }
  if (error instanceof WeirError) return { status: STATUS[error.code] ?? 500, code: error.code, message }
  // Of the HTTP server itself: a body that is too long or not JSON.
  const status = member(error, 'statusCode')
  return typeof status === 'number'
    ? { status, code: 'CFG_INVALID', message }
    : { status: 500, code: 'BUG', message }
}

const isLoopback = (ip: string): boolean => ip === '127.0.0.1' || ip === '::1' || ip === '::ffff:127.0.0.1'
