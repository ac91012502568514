import type { Condition } from '#operator/api/schema'
import type { SavepointStatus } from '#operator/api/v1alpha1/savepoint'
import type { StreamJobStatus } from '#operator/api/v1alpha1/stream-job-status'
import type { Cluster } from '#tools/cluster/cluster'
import { eventually } from '#tools/servers/eventually'

const LIMIT_MS = 120_000

interface Pod {
  readonly metadata: { readonly name: string; readonly uid: string; readonly deletionTimestamp?: string }
  readonly status?: { readonly phase?: string }
}

/** A namespace under restricted pod security, and what the tests do with the StreamJobs in it. */
export class StreamJobs implements AsyncDisposable {
  readonly cluster: Cluster
  readonly namespace: string
  private constructor(cluster: Cluster, namespace: string) {
    this.cluster = cluster
    this.namespace = namespace
  }

  static async open(cluster: Cluster, name: string): Promise<StreamJobs> {
    const namespace = `${name}-${Math.floor(Date.now() / 1000).toString(36)}`
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' }
    await cluster.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels } })
    return new StreamJobs(cluster, namespace)
  }

  kubectl(...args: readonly string[]): Promise<string> {
    return this.cluster.kubectl([...args, '-n', this.namespace])
  }

  /** As its author does, so that a field that is left out is taken back. */
  async apply(name: string, spec: object): Promise<void> {
    const metadata = { name, namespace: this.namespace }
    await this.cluster.apply({ apiVersion: 'weir.dev/v1alpha1', kind: 'StreamJob', metadata, spec })
  }

  async applySavepoint(name: string, spec: object): Promise<void> {
    const metadata = { name, namespace: this.namespace }
    await this.cluster.apply({ apiVersion: 'weir.dev/v1alpha1', kind: 'Savepoint', metadata, spec })
  }

  async patch(name: string, patch: object): Promise<void> {
    await this.kubectl('patch', `stj/${name}`, '--type=merge', '-p', JSON.stringify(patch))
  }

  async annotate(name: string, annotation: string): Promise<void> {
    await this.kubectl('annotate', '--overwrite', `stj/${name}`, annotation)
  }

  status(name: string): Promise<StreamJobStatus> {
    return this.#status(`stj/${name}`)
  }

  /** The status of a StreamJob once it is as `isSo` says. */
  until(
    name: string,
    what: string,
    isSo: (status: StreamJobStatus) => boolean,
    limitMs = LIMIT_MS,
  ): Promise<StreamJobStatus> {
    return this.#until(`stj/${name}`, what, isSo, limitMs)
  }

  untilSavepoint(name: string, reason: string): Promise<SavepointStatus> {
    return this.#until<SavepointStatus>(
      `svp/${name}`,
      `is ${reason}`,
      (status) => condition(status, 'Ready')?.reason === reason,
      LIMIT_MS,
    )
  }

  /** Ready in run `run`, as the generation of now asks. */
  untilRunning(name: string, run: number): Promise<StreamJobStatus> {
    return this.until(
      name,
      `runs as run ${run}`,
      (status) => status.runId === `${run}` && condition(status, 'Ready')?.reason === 'Running',
    )
  }

  untilEvent(name: string, reason: string): Promise<string> {
    return eventually(
      async () =>
        (await this.kubectl(
          'get',
          'events',
          '--field-selector',
          `involvedObject.name=${name},reason=${reason}`,
          '-o',
          'jsonpath={.items[*].message}',
        )) || undefined,
      { what: `event ${reason} of ${name}`, limitMs: LIMIT_MS, everyMs: 500 },
    )
  }

  /** Those that are not being deleted. */
  async pods(name: string, component: 'job-manager' | 'task-manager'): Promise<readonly Pod[]> {
    const selector = `weir.dev/job=${name},weir.dev/component=${component}`
    const { items } = await this.cluster.getJson<{ items: Pod[] }>(
      'pods',
      '-n',
      this.namespace,
      '-l',
      selector,
    )
    return items.filter(({ metadata }) => metadata.deletionTimestamp === undefined)
  }

  async #status<S>(object: string): Promise<S> {
    return (await this.cluster.getJson<{ status: S }>(object, '-n', this.namespace)).status
  }

  #until<S>(object: string, what: string, isSo: (status: S) => boolean, limitMs: number): Promise<S> {
    return eventually(
      async () => {
        const status = await this.#status<S>(object)
        if (isSo(status)) return status
        throw new Error(JSON.stringify(status))
      },
      { what: `${object} ${what}`, limitMs, everyMs: 300 },
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster.tryKubectl(['delete', 'namespace', this.namespace, '--wait=false'])
  }
}

export const condition = (
  { conditions }: { readonly conditions?: readonly Condition[] | undefined },
  type: string,
): Condition | undefined => conditions?.find((c) => c.type === type)
