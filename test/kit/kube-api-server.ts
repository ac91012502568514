/**
 * A small HTTP server that speaks the part of the Kubernetes protocol that the client uses: list
 * with pages, watch, create, conditional replace, merge and apply patches, delete. It has no
 * schemas, no admission and no controllers; the cluster tests run against the real one.
 */
import http from 'node:http'
import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { sleep, systemClock } from '#runtime/base/clock'
import { KubeClient } from '#operator/kube/client'

type Obj = {
  apiVersion?: string
  kind?: string
  metadata: Record<string, unknown> & { name: string; namespace?: string }
  [k: string]: unknown
}
interface Watcher {
  readonly collection: string
  readonly response: http.ServerResponse
}

export interface SeenRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly body: unknown
}

export class TestApiServer {
  readonly objects = new Map<string, Obj>()
  readonly requests: SeenRequest[] = []
  /** Time that every request takes before it is looked at. */
  latencyMs = 0
  /** Answers instead of the server when it returns true. */
  intercept: (request: SeenRequest, response: http.ServerResponse) => boolean = () => false
  readonly #server = http.createServer((request, response) => void this.#handle(request, response))
  readonly #sockets = new Set<Socket>()
  readonly #closed = { received: 0, sent: 0 }
  readonly #watchers = new Set<Watcher>()
  readonly #history: { version: number; collection: string; event: unknown }[] = []
  #version = 100

  static async start(): Promise<TestApiServer> {
    const server = new TestApiServer()
    server.#server.on('connection', (socket) => server.#count(socket))
    server.#server.listen(0, '127.0.0.1')
    await once(server.#server, 'listening')
    return server
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  client(): KubeClient {
    return new KubeClient({ server: this.url, authorize: async () => undefined })
  }

  get version(): string {
    return String(this.#version)
  }

  /** Bytes on all connections so far, with their headers. */
  get traffic(): { readonly received: number; readonly sent: number } {
    const sum = { ...this.#closed }
    for (const { bytesRead, bytesWritten } of this.#sockets) {
      sum.received += bytesRead
      sum.sent += bytesWritten
    }
    return sum
  }

  get watcherCount(): number {
    return this.#watchers.size
  }

  seen(method: string, part: string): SeenRequest[] {
    return this.requests.filter((r) => r.method === method && r.path.includes(part))
  }

  /** Sends a raw event to every open watch of a collection such as `pods`. */
  send(plural: string, event: unknown): void {
    for (const w of this.#watchers)
      if (w.collection.endsWith(`/${plural}`)) w.response.write(`${JSON.stringify(event)}\n`)
  }

  /** Ends every open watch, as the server does after its time. */
  endWatches(): void {
    for (const w of this.#watchers) w.response.end()
  }

  /** Breaks every connection. */
  cut(): void {
    this.#server.closeAllConnections()
  }

  put(path: string, object: Obj): Obj {
    const existing = this.objects.get(path)
    this.#version++
    const stored: Obj = {
      ...object,
      metadata: {
        ...object.metadata,
        uid: (existing?.metadata['uid'] as string) ?? `uid-${this.#version}`,
        creationTimestamp: existing?.metadata['creationTimestamp'] ?? new Date().toISOString(),
        resourceVersion: String(this.#version),
      },
    }
    this.objects.set(path, stored)
    this.#publish(path, existing === undefined ? 'ADDED' : 'MODIFIED', stored)
    return stored
  }

  remove(path: string): void {
    const existing = this.objects.get(path)
    if (existing === undefined) return
    this.objects.delete(path)
    this.#version++
    this.#publish(path, 'DELETED', {
      ...existing,
      metadata: { ...existing.metadata, resourceVersion: String(this.#version) },
    })
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #count(socket: Socket): void {
    this.#sockets.add(socket)
    socket.once('close', () => {
      this.#sockets.delete(socket)
      this.#closed.received += socket.bytesRead
      this.#closed.sent += socket.bytesWritten
    })
  }

  #publish(path: string, type: string, object: Obj): void {
    const collection = path.slice(0, path.lastIndexOf('/'))
    this.#history.push({ version: this.#version, collection, event: { type, object } })
    for (const w of this.#watchers)
      if (matches(w.collection, collection)) w.response.write(`${JSON.stringify({ type, object })}\n`)
  }

  async #handle(message: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const url = new URL(message.url ?? '/', 'http://x')
    const raw = await text(message)
    const request: SeenRequest = {
      method: message.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      body: raw === '' ? undefined : (JSON.parse(raw) as unknown),
    }
    this.requests.push(request)
    if (this.latencyMs > 0) await sleep(systemClock, this.latencyMs)
    if (this.intercept(request, response)) return
    this.#answer(request, message.headers['content-type'] ?? '', response)
  }

  #answer(request: SeenRequest, contentType: string, response: http.ServerResponse): void {
    switch (request.method) {
      case 'GET':
        return this.#get(request, response)
      case 'POST':
        return this.#create(request, response)
      case 'PATCH':
        return this.#patch(request, contentType, response)
      case 'DELETE':
        return this.#delete(request, response)
      default:
        return this.#replace(request, response)
    }
  }

  #get(request: SeenRequest, response: http.ServerResponse): void {
    const existing = this.objects.get(request.path)
    if (request.query.has('watch')) return this.#watch(request, response)
    if (existing !== undefined) return answer(response, 200, existing)
    if (isObjectPath(request.path)) return fail(response, 404, 'NotFound')
    return this.#list(request, response)
  }

  #create({ path, body }: SeenRequest, response: http.ServerResponse): void {
    const object = body as Obj
    const at = `${path}/${object.metadata.name}`
    if (this.objects.has(at)) return fail(response, 409, 'AlreadyExists')
    return answer(response, 201, this.put(at, object))
  }

  /** Of an object, or of its status and metadata. */
  #patch({ path, body }: SeenRequest, contentType: string, response: http.ServerResponse): void {
    const at = path.replace(/\/status$/, '')
    const existing = this.objects.get(at)
    if (existing === undefined && !contentType.includes('apply-patch')) return fail(response, 404, 'NotFound')
    return answer(response, 200, this.put(at, merge(existing ?? {}, body) as Obj))
  }

  #delete({ path }: SeenRequest, response: http.ServerResponse): void {
    if (!this.objects.has(path)) return fail(response, 404, 'NotFound')
    this.remove(path)
    return answer(response, 200, { kind: 'Status', status: 'Success' })
  }

  /** Of an object, or of its status only. */
  #replace({ path, body }: SeenRequest, response: http.ServerResponse): void {
    const isStatus = path.endsWith('/status')
    const at = isStatus ? path.slice(0, -'/status'.length) : path
    const existing = this.objects.get(at)
    const object = body as Obj
    if (existing === undefined) return fail(response, 404, 'NotFound')
    const expected = object.metadata['resourceVersion']
    if (expected !== undefined && expected !== existing.metadata['resourceVersion'])
      return fail(response, 409, 'Conflict')
    const next = isStatus ? { ...existing, status: object['status'] } : object
    return answer(response, 200, this.put(at, next))
  }

  #list(request: SeenRequest, response: http.ServerResponse): void {
    const items = [...this.objects]
      .filter(([path]) => matches(request.path, path.slice(0, path.lastIndexOf('/'))))
      .map(([, o]) => o)
    const limit = Number(request.query.get('limit') ?? items.length)
    const from = Number(request.query.get('continue') ?? 0)
    const next = from + limit < items.length ? String(from + limit) : ''
    answer(response, 200, {
      metadata: { resourceVersion: this.version, continue: next },
      items: items.slice(from, from + limit),
    })
  }

  #watch(request: SeenRequest, response: http.ServerResponse): void {
    response.writeHead(200, { 'content-type': 'application/json' })
    response.flushHeaders()
    const since = Number(request.query.get('resourceVersion') ?? 0)
    for (const h of this.#history)
      if (h.version > since && matches(request.path, h.collection))
        response.write(`${JSON.stringify(h.event)}\n`)
    const watcher = { collection: request.path, response }
    this.#watchers.add(watcher)
    response.on('close', () => this.#watchers.delete(watcher))
  }
}

/** `/apis/apps/v1/deployments` holds what is in `/apis/apps/v1/namespaces/a/deployments`. */
function matches(asked: string, collection: string): boolean {
  return asked === collection || asked === collection.replace(/\/namespaces\/[^/]+/, '')
}

const isObjectPath = (path: string): boolean => {
  const parts = path.split('/').filter((p) => p !== '')
  const rest = parts.slice(parts[0] === 'api' ? 2 : 3)
  return rest.length === 4 || (rest.length === 2 && rest[0] !== 'namespaces')
}

function merge(base: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch
  const out: Record<string, unknown> =
    typeof base === 'object' && base !== null && !Array.isArray(base) ? { ...base } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete out[key]
    else out[key] = merge(out[key], value)
  }
  return out
}

function answer(response: http.ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

export function fail(response: http.ServerResponse, code: number, reason: string, message = reason): void {
  answer(response, code, { kind: 'Status', status: 'Failure', code, reason, message })
}
