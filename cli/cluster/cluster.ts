import { authorityOf, KubeClient } from '#operator/kube/client'
import { KubeApiError } from '#operator/kube/errors'
import { KubeConfig } from '#operator/kube/kube-config'
import { RESOURCES } from '#operator/kube/resource'
import { API_VERSION } from '#operator/api/group'
import { messageOf, systemCode } from '#runtime/base/errors'
import { CliError, failed, notFound } from '#cli/cli-error'
import { EXIT } from '#cli/exit-codes'
import type { ClusterOptions } from '#cli/target'
import type { SavepointObject, StreamJobObject } from './objects.ts'

const MANAGER = 'weir-cli'

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
 * Reads the kubeconfig as kubectl does.
 * @throws {CliError} when there is none
 */
export async function openCluster(options: ClusterOptions): Promise<Cluster> {
  const config = readKubeConfig(options)
  const server = config.getCurrentCluster()?.server
  if (server === undefined)
    throw new CliError(
      EXIT.badInput,
      `The kubeconfig has no context ${JSON.stringify(config.currentContext)}.`,
      { next: 'Name one by --context, or set KUBECONFIG.' },
    )
  const namespace =
    options.namespace ?? config.getContextObject(config.currentContext)?.namespace ?? 'default'
  return new KubeCluster(new KubeClient(authorityOf(config), MANAGER), namespace, server)
}

function readKubeConfig({ kubeconfig, context }: ClusterOptions): KubeConfig {
  const config = new KubeConfig()
  try {
    if (kubeconfig === undefined) config.loadFromDefault()
    else config.loadFromFile(kubeconfig)
    if (context !== undefined) config.setCurrentContext(context)
    return config
  } catch (cause) {
    throw new CliError(EXIT.badInput, `Cannot read the kubeconfig: ${messageOf(cause)}.`, {
      cause,
      next: 'Name a file by --kubeconfig or KUBECONFIG. Jobs of this machine are listed by: weir list',
    })
  }
}

class KubeCluster implements Cluster {
  readonly namespace: string
  readonly #client: KubeClient
  readonly #server: string
  constructor(client: KubeClient, namespace: string, server: string) {
    this.#client = client
    this.namespace = namespace
    this.#server = server
  }

  job(name: string): Promise<StreamJobObject> {
    return this.#do(`StreamJob ${this.namespace}/${name}`, () =>
      this.#client.get(RESOURCES.StreamJob, this.namespace, name),
    )
  }

  async jobs({ allNamespaces }: { readonly allNamespaces: boolean }): Promise<StreamJobObject[]> {
    const namespace = allNamespaces ? undefined : this.namespace
    const { items } = await this.#do<{ items: StreamJobObject[] }>('StreamJobs', () =>
      this.#client.list(RESOURCES.StreamJob, { namespace }),
    )
    return items
  }

  patchJob(name: string, patch: object): Promise<StreamJobObject> {
    return this.#do(`StreamJob ${this.namespace}/${name}`, () =>
      this.#client.mergePatch(RESOURCES.StreamJob, { namespace: this.namespace, name }, patch),
    )
  }

  createSavepoint(name: string, spec: object): Promise<SavepointObject> {
    const object = {
      apiVersion: API_VERSION,
      kind: 'Savepoint',
      metadata: { name, namespace: this.namespace },
      spec,
    }
    return this.#do(`Savepoint ${this.namespace}/${name}`, () => this.#client.create(object))
  }

  savepoint(name: string): Promise<SavepointObject> {
    return this.#do(`Savepoint ${this.namespace}/${name}`, () =>
      this.#client.get(RESOURCES.Savepoint, this.namespace, name),
    )
  }

  async savepoints(): Promise<SavepointObject[]> {
    const { items } = await this.#do<{ items: SavepointObject[] }>('Savepoints', () =>
      this.#client.list(RESOURCES.Savepoint, { namespace: this.namespace }),
    )
    return items
  }

  /** `T`: what the API server has checked by the schema of the kind. */
  async #do<T>(what: string, call: () => Promise<unknown>): Promise<T> {
    try {
      return (await call()) as T
    } catch (error) {
      throw error instanceof KubeApiError ? clusterError(what, this.#server, error) : error
    }
  }
}

/** The API server's answer as a sentence. Pure. */
export function clusterError(what: string, server: string, error: KubeApiError): CliError {
  const { status, detail } = error
  switch (status) {
    case 0:
      return unreachable(server, error)
    case 400:
    case 422:
      return new CliError(EXIT.badInput, `The cluster refuses ${what}: ${detail}`)
    case 401:
    case 403:
      return failed(`The cluster refuses ${what}: ${detail}`)
    case 404:
      return missing(what, detail)
    case 409:
      return failed(`${what} exists already.`)
    default:
      return failed(`The cluster failed at ${what} (${status}): ${detail}`)
  }
}

function unreachable(server: string, { cause, message }: KubeApiError): CliError {
  const why = systemCode(cause) ?? (cause === undefined ? message : messageOf(cause))
  return failed(
    `Cannot reach the cluster at ${server}: ${why}.`,
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
