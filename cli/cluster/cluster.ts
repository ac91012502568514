import { textMember } from '#runtime/base/member'
import type { CustomObjectsApi } from '@kubernetes/client-node'
import { API_VERSION, GROUP, VERSION } from '#operator/api/group'
import { messageOf, systemCode } from '#runtime/base/errors'
import { CliError, failed, notFound } from '#cli/cli-error'
import { EXIT } from '#cli/exit-codes'
import type { ClusterOptions } from '#cli/target'
import type { SavepointObject, StreamJobObject } from './objects.ts'

/**
 * The StreamJobs and Savepoints of one namespace. The CLI reads, creates and patches objects;
 * everything else is done by the operator.
 */
export interface Cluster {
  readonly namespace: string
  /** @throws {CliError} when it does not exist */
  job(name: string): Promise<StreamJobObject>
  jobs(options: { readonly allNamespaces: boolean }): Promise<StreamJobObject[]>
  /** JSON merge patch: null removes a member. */
  patchJob(name: string, patch: object): Promise<StreamJobObject>
  createSavepoint(name: string, spec: object): Promise<SavepointObject>
  savepoint(name: string): Promise<SavepointObject>
  savepoints(): Promise<SavepointObject[]>
}

/**
 * Reads the kubeconfig as kubectl does. The client library is imported here and not before.
 * @throws {CliError} when there is none
 */
export async function openCluster(options: ClusterOptions): Promise<Cluster> {
  const k8s = await import('@kubernetes/client-node')
  const config = new k8s.KubeConfig()
  try {
    if (options.kubeconfig === undefined) config.loadFromDefault()
    else config.loadFromFile(options.kubeconfig)
    if (options.context !== undefined) config.setCurrentContext(options.context)
  } catch (cause) {
    throw new CliError(EXIT.badInput, `Cannot read the kubeconfig: ${messageOf(cause)}.`, {
      cause,
      next: 'Name a file by --kubeconfig or KUBECONFIG. Jobs of this machine are listed by: weir list',
    })
  }
  const server = config.getCurrentCluster()?.server
  if (server === undefined)
    throw new CliError(
      EXIT.badInput,
      `The kubeconfig has no context ${JSON.stringify(config.currentContext)}.`,
      { next: 'Name one by --context, or set KUBECONFIG.' },
    )
  const namespace =
    options.namespace ?? config.getContextObject(config.currentContext)?.namespace ?? 'default'
  const merge = k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.MergePatch)
  return new KubeCluster(config.makeApiClient(k8s.CustomObjectsApi), merge, namespace, server)
}

type MergeOptions = Parameters<CustomObjectsApi['patchNamespacedCustomObject']>[1]

class KubeCluster implements Cluster {
  readonly namespace: string
  readonly #api: CustomObjectsApi
  readonly #merge: MergeOptions
  readonly #server: string
  constructor(api: CustomObjectsApi, merge: MergeOptions, namespace: string, server: string) {
    this.#api = api
    this.#merge = merge
    this.namespace = namespace
    this.#server = server
  }

  job(name: string): Promise<StreamJobObject> {
    return this.#do(`StreamJob ${this.namespace}/${name}`, () =>
      this.#api.getNamespacedCustomObject({ ...this.#jobs, name }),
    )
  }

  async jobs({ allNamespaces }: { readonly allNamespaces: boolean }): Promise<StreamJobObject[]> {
    const { items } = await this.#do<{ items: StreamJobObject[] }>('StreamJobs', () =>
      allNamespaces
        ? this.#api.listClusterCustomObject({ group: GROUP, version: VERSION, plural: 'streamjobs' })
        : this.#api.listNamespacedCustomObject(this.#jobs),
    )
    return items
  }

  patchJob(name: string, patch: object): Promise<StreamJobObject> {
    return this.#do(`StreamJob ${this.namespace}/${name}`, () =>
      this.#api.patchNamespacedCustomObject(
        { ...this.#jobs, name, body: patch, fieldManager: 'weir-cli' },
        this.#merge,
      ),
    )
  }

  createSavepoint(name: string, spec: object): Promise<SavepointObject> {
    const body = {
      apiVersion: API_VERSION,
      kind: 'Savepoint',
      metadata: { name, namespace: this.namespace },
      spec,
    }
    return this.#do(`Savepoint ${this.namespace}/${name}`, () =>
      this.#api.createNamespacedCustomObject({ ...this.#savepoints, body, fieldManager: 'weir-cli' }),
    )
  }

  savepoint(name: string): Promise<SavepointObject> {
    return this.#do(`Savepoint ${this.namespace}/${name}`, () =>
      this.#api.getNamespacedCustomObject({ ...this.#savepoints, name }),
    )
  }

  async savepoints(): Promise<SavepointObject[]> {
    const { items } = await this.#do<{ items: SavepointObject[] }>('Savepoints', () =>
      this.#api.listNamespacedCustomObject(this.#savepoints),
    )
    return items
  }

  get #jobs() {
    return { group: GROUP, version: VERSION, namespace: this.namespace, plural: 'streamjobs' }
  }
  get #savepoints() {
    return { group: GROUP, version: VERSION, namespace: this.namespace, plural: 'savepoints' }
  }

  async #do<T>(what: string, call: () => Promise<unknown>): Promise<T> {
    try {
      return (await call()) as T
    } catch (error) {
      throw clusterError(what, this.#server, error)
    }
  }
}

/** The API server's answer as a sentence. Pure. */
export function clusterError(what: string, server: string, error: unknown): CliError {
  const status = statusOf(error)
  if (status === undefined) return unreachable(server, error)
  const reason = statusMessage(error)
  switch (status) {
    case 400:
    case 422:
      return new CliError(EXIT.badInput, `The cluster refuses ${what}: ${reason}`)
    case 401:
    case 403:
      return failed(`The cluster refuses ${what}: ${reason}`)
    case 404:
      return missing(what, reason)
    case 409:
      return failed(`${what} exists already.`)
    default:
      return failed(`The cluster failed at ${what} (${status}): ${reason}`)
  }
}

const statusOf = (error: unknown): number | undefined =>
  typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'number'
    ? error.code
    : undefined

function unreachable(server: string, error: unknown): CliError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  return failed(
    `Cannot reach the cluster at ${server}: ${systemCode(cause) ?? messageOf(cause)}.`,
    'Is it up, and is this the right --context?',
  )
}

function missing(what: string, reason: string): CliError {
  const isKindUnknown = /page not found|could not find the requested resource/.test(reason)
  return isKindUnknown
    ? notFound(
        'The cluster does not know StreamJobs.',
        'Install the operator first: helm install weir charts/weir -n weir-system --create-namespace',
      )
    : notFound(`${what} does not exist.`, 'StreamJobs are listed by: kubectl get stj')
}

function statusMessage(error: unknown): string {
  const body = typeof error === 'object' && error !== null && 'body' in error ? error.body : undefined
  if (typeof body !== 'string') return messageOf(error)
  try {
    return textMember(JSON.parse(body), 'message') ?? body
  } catch {
    return body.trim()
  }
}
