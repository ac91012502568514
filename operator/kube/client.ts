/**
 * Raw, typed requests to the API server. The generated classes of the client library are not used:
 * they drop fields that they do not know and open a new TLS connection for every request.
 * Connections are kept alive here in one agent; certificates are part of its pool key, so that a
 * renewed one opens new connections.
 */
import http from 'node:http'
import https from 'node:https'
import { text } from 'node:stream/consumers'
import { member, textMember } from '#runtime/base/member'
import { messageOf } from '#runtime/base/errors'
import { linesOf } from '#runtime/base/lines'
import { VERSION } from '#runtime/contract/version'
import { MANAGER } from '#operator/resources/labels'
import type { KubeObject } from '#operator/resources/object'
import { errorOf, KubeApiError, type RequestTarget } from './errors.ts'
import type { KubeConfig } from './kube-config.ts'
import { pathOf, resourceOf, type Resource } from './resource.ts'

/** Where the API server is, and as whom it is asked. */
export interface Authority {
  readonly server: string
  /**
   * Fills in headers and TLS material of the current user; called for every request, so that tokens
   * can be renewed.
   */
  readonly authorize: (options: https.RequestOptions) => Promise<void>
  /** The agent that `authorize` sets leads through a proxy and must be used. */
  readonly proxied?: boolean
}

export interface ListOptions {
  readonly namespace?: string | undefined
  readonly labelSelector?: string | undefined
  readonly limit?: number
  readonly continue?: string | undefined
  readonly resourceVersion?: string
  readonly signal?: AbortSignal | undefined
}

export interface KubeList<T> {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string }
  readonly items: readonly T[]
}

export interface WatchEvent<T> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR'
  readonly object: T
}

export interface WatchOptions {
  readonly namespace?: string | undefined
  readonly labelSelector?: string | undefined
  readonly resourceVersion: string
  readonly timeoutSeconds: number
  readonly signal: AbortSignal
}

/** What a request is about; without name: a collection. */
interface Target {
  readonly resource: Resource
  readonly namespace: string | undefined
  readonly name?: string
  readonly subresource?: 'status' | undefined
}

interface Request {
  readonly method: string
  readonly target: Target
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>
  readonly body?: unknown
  readonly contentType?: string
  readonly signal?: AbortSignal | undefined
  readonly timeoutMs?: number
}

const REQUEST_TIMEOUT_MS = 30_000
const MERGE_PATCH = 'application/merge-patch+json'
const APPLY_PATCH = 'application/apply-patch+yaml'

export class KubeClient {
  readonly #authority: Authority
  readonly #agents: { readonly http: http.Agent; readonly https: https.Agent }
  readonly #manager: string

  /** `manager`: whose writes these are, in `metadata.managedFields`. */
  constructor(authority: Authority, manager = MANAGER) {
    this.#authority = authority
    this.#manager = manager
    this.#agents = {
      http: new http.Agent({ keepAlive: true, maxFreeSockets: 8 }),
      https: new https.Agent({ keepAlive: true, maxFreeSockets: 8 }),
    }
  }

  /** Closes idle and open connections. */
  close(): void {
    this.#agents.http.destroy()
    this.#agents.https.destroy()
  }

  get<T extends KubeObject>(
    resource: Resource,
    namespace: string | undefined,
    name: string,
    signal?: AbortSignal,
  ): Promise<T> {
    return this.#json({ method: 'GET', target: { resource, namespace, name }, signal })
  }

  list<T extends KubeObject>(resource: Resource, options: ListOptions): Promise<KubeList<T>> {
    const { namespace, labelSelector, limit, resourceVersion } = options
    return this.#json({
      method: 'GET',
      target: { resource, namespace },
      query: { labelSelector, limit, continue: options.continue, resourceVersion },
      signal: options.signal,
    })
  }

  /**
   * Yields events until the server or `signal` ends the stream; throws when it cannot be opened or
   * breaks. Bookmarks are asked for.
   */
  async *watch<T extends KubeObject>(
    resource: Resource,
    options: WatchOptions,
  ): AsyncGenerator<WatchEvent<T>> {
    const { namespace, labelSelector, resourceVersion, timeoutSeconds } = options
    const response = await this.#open({
      method: 'GET',
      target: { resource, namespace },
      query: { watch: true, allowWatchBookmarks: true, labelSelector, resourceVersion, timeoutSeconds },
      signal: options.signal,
      timeoutMs: 0,
    })
    try {
      response.setEncoding('utf8')
      for await (const line of linesOf(response as AsyncIterable<string>))
        yield JSON.parse(line) as WatchEvent<T>
    } finally {
      response.destroy()
    }
  }

  create<T extends KubeObject>(object: KubeObject, signal?: AbortSignal): Promise<T> {
    const { namespace } = object.metadata
    const target = { resource: resourceOf(object.kind), namespace }
    return this.#json({
      method: 'POST',
      target,
      query: { fieldManager: this.#manager },
      body: object,
      signal,
    })
  }

  /** Server-side apply; `force` takes over fields that somebody else changed. */
  apply<T extends KubeObject>(object: KubeObject, signal?: AbortSignal): Promise<T> {
    return this.#json({
      method: 'PATCH',
      target: targetOf(object),
      query: { fieldManager: this.#manager, force: true },
      body: object,
      contentType: APPLY_PATCH,
      signal,
    })
  }

  mergePatch<T extends KubeObject>(
    resource: Resource,
    target: { readonly namespace: string; readonly name: string; readonly subresource?: 'status' },
    patch: object,
    signal?: AbortSignal,
  ): Promise<T> {
    return this.#json({
      method: 'PATCH',
      target: { resource, ...target },
      query: { fieldManager: this.#manager },
      body: patch,
      contentType: MERGE_PATCH,
      signal,
    })
  }

  /**
   * Replaces an object (or its status) if nobody has changed it since
   * `object.metadata.resourceVersion`.
   * @throws {KubeApiError} 409 when somebody has
   */
  replace<T extends KubeObject>(
    object: KubeObject,
    subresource?: 'status',
    signal?: AbortSignal,
  ): Promise<T> {
    const target = { ...targetOf(object), subresource }
    return this.#json({ method: 'PUT', target, query: { fieldManager: this.#manager }, body: object, signal })
  }

  /**
   * Deletes in the background what the object owns. `uid` protects a successor with the same name.
   */
  async delete(
    resource: Resource,
    target: { readonly namespace: string; readonly name: string; readonly uid?: string | undefined },
    signal?: AbortSignal,
  ): Promise<void> {
    const body = {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      propagationPolicy: 'Background',
      ...(target.uid === undefined ? {} : { preconditions: { uid: target.uid } }),
    }
    const { namespace, name } = target
    await this.#json({ method: 'DELETE', target: { resource, namespace, name }, body, signal })
  }

  async #json<T>(request: Request): Promise<T> {
    const response = await this.#open(request)
    const body = await text(response).catch((error: unknown) => {
      throw unanswered(request, error)
    })
    return JSON.parse(body) as T
  }

  /** The response, once its status says success. */
  async #open(request: Request): Promise<http.IncomingMessage> {
    const { signal } = request
    const response = await this.#send(request).catch((error: unknown) => {
      signal?.throwIfAborted()
      throw unanswered(request, error)
    })
    const status = response.statusCode ?? 0
    if (status >= 200 && status < 300) return response
    const answer = await text(response).catch(() => '')
    throw errorOf(described(request), status, answer, response.headers['retry-after'])
  }

  async #send(request: Request): Promise<http.IncomingMessage> {
    const url = urlOf(this.#authority.server, request)
    const body = request.body === undefined ? undefined : JSON.stringify(request.body)
    const options: https.RequestOptions = {
      method: request.method,
      headers: headersOf(body, request.contentType, this.#manager),
      signal: limitOf(request),
    }
    await this.#authority.authorize(options)
    const isSecure = url.protocol === 'https:'
    if (this.#authority.proxied !== true) options.agent = isSecure ? this.#agents.https : this.#agents.http
    return new Promise((resolve, reject) => {
      const outgoing = (isSecure ? https : http).request(url, options, resolve)
      outgoing.on('error', reject)
      outgoing.end(body)
    })
  }
}

const targetOf = ({ kind, metadata: { namespace, name } }: KubeObject): Target => ({
  resource: resourceOf(kind),
  namespace,
  name,
})

const pathTo = ({ target: { resource, namespace, name, subresource } }: Request): string =>
  pathOf(resource, namespace, name, subresource)

/** For errors. An object that is being made has its name in the body. */
function described(request: Request): RequestTarget {
  const { method, target, body } = request
  const name = target.name ?? textMember(member(body, 'metadata'), 'name')
  return { request: `${method} ${pathTo(request)}`, kind: target.resource.kind, name }
}

function urlOf(server: string, request: Request): URL {
  const { query = {} } = request
  const url = new URL(server.replace(/\/$/, '') + pathTo(request))
  for (const [key, value] of Object.entries(query))
    if (value !== undefined) url.searchParams.set(key, String(value))
  return url
}

function headersOf(
  body: string | undefined,
  contentType = 'application/json',
  manager: string,
): Record<string, string> {
  const own = { accept: 'application/json', 'user-agent': `${manager}/${VERSION}` }
  if (body === undefined) return own
  return { ...own, 'content-type': contentType, 'content-length': String(Buffer.byteLength(body)) }
}

/** Aborts with the caller's signal and after the request's own limit; 0: it has none. */
function limitOf({ signal, timeoutMs = REQUEST_TIMEOUT_MS }: Request): AbortSignal {
  const timeout = timeoutMs > 0 ? [AbortSignal.timeout(timeoutMs)] : []
  return AbortSignal.any([...timeout, ...(signal === undefined ? [] : [signal])])
}

function unanswered(request: Request, cause: unknown): KubeApiError {
  const isLate = cause instanceof Error && cause.name === 'TimeoutError'
  const limitMs = request.timeoutMs ?? REQUEST_TIMEOUT_MS
  const why = isLate ? `nothing came within ${limitMs} ms` : messageOf(cause)
  const target = described(request)
  return new KubeApiError(`${target.request} got no answer: ${why}`, {
    status: 0,
    reason: 'Unreachable',
    target,
    cause,
  })
}

/** The API server that a kubeconfig names. */
export function authorityOf(config: KubeConfig): Authority {
  const cluster = config.getCurrentCluster()
  if (cluster === null)
    throw new KubeApiError('The kubeconfig names no current cluster', { status: 0, reason: 'NoCluster' })
  const authorize = async (options: https.RequestOptions): Promise<void> => {
    // The library's types are those of the WebSocket client, but what it fills in is what an HTTPS
    // request takes.
    await config.applyToHTTPSOptions(options as Parameters<KubeConfig['applyToHTTPSOptions']>[0])
  }
  return { server: cluster.server, authorize, proxied: cluster.proxyUrl !== undefined }
}
