/**
 * What the operator watches of the cluster, and whom a change makes look again. A standby watches
 * too, so that it can act at once when it comes to lead.
 */
import { member } from '#runtime/base/member'
import type { Clock } from '#runtime/base/clock'
import type { Logger } from '#runtime/base/logger'
import { type Urgency, WorkQueue } from './controller/workqueue.ts'
import type { KubeClient } from './kube/client.ts'
import { Reflector } from './kube/reflector.ts'
import { RESOURCES, type Resource } from './kube/resource.ts'
import { type Key, keyOfObject, placeOf, type Store } from './kube/store.ts'
import { createStores, jobsOf, jobsOfSavepoint, type Stores } from './kube/stores.ts'
import { LABEL_JOB } from './resources/labels.ts'
import type { KubeObject, StreamJobObject } from './resources/object.ts'

export interface WatchesOptions {
  readonly client: KubeClient
  /** Empty: all. */
  readonly namespaces: readonly string[]
  readonly clock: Clock
  readonly random: () => number
  readonly logger: Logger
}

/** What is asked of a reflector, whatever kind it reflects. */
type AnyReflector = Pick<Reflector<KubeObject>, 'run' | 'synced' | 'contactAgeMs'>

export class Watches {
  readonly stores: Stores = createStores()
  readonly queues: { readonly streamJobs: WorkQueue<Key>; readonly savepoints: WorkQueue<Key> }
  readonly #options: WatchesOptions
  #urgency: Urgency = 'routine'
  readonly #reflectors: readonly { readonly kind: string; readonly reflector: AnyReflector }[]

  constructor(options: WatchesOptions) {
    const { clock, random, namespaces } = options
    this.#options = options
    this.queues = {
      streamJobs: new WorkQueue({ clock, random }),
      savepoints: new WorkQueue({ clock, random }),
    }
    const scopes = namespaces.length === 0 ? [undefined] : namespaces
    const { streamJobs, savepoints, pods, deployments, replicaSets } = this.stores
    this.#reflectors = scopes.flatMap((namespace) => [
      this.#reflect(RESOURCES.StreamJob, streamJobs, { namespace }),
      this.#reflect(RESOURCES.Savepoint, savepoints, { namespace }),
      this.#reflect(RESOURCES.Pod, pods, { namespace, labelSelector: LABEL_JOB }),
      this.#reflect(RESOURCES.Deployment, deployments, { namespace, labelSelector: LABEL_JOB }),
      this.#reflect(RESOURCES.ReplicaSet, replicaSets, { namespace, labelSelector: LABEL_JOB }),
    ])
    this.#listen()
  }

  /** Resolves after `signal` has aborted and every watch has ended. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#reflectors.map(({ reflector }) => reflector.run(signal)))
  }

  /** Resolves once every store has been filled. */
  async synced(): Promise<void> {
    await Promise.all(this.#reflectors.map(({ reflector }) => reflector.synced))
  }

  /**
   * Milliseconds since the API server last said anything, by kind; of several namespaces the
   * oldest.
   */
  contactAgesMs(): Readonly<Record<string, number>> {
    const ages: Record<string, number> = {}
    for (const { kind, reflector } of this.#reflectors)
      ages[kind] = Math.max(ages[kind] ?? 0, reflector.contactAgeMs())
    return ages
  }

  /**
   * From now on somebody works on the queues. Whatever changed before is routine: it has waited
   * already, and must not hold up what changes now.
   */
  begin(): void {
    this.#urgency = 'urgent'
    this.resync(0, 1)
  }

  /**
   * One of `count` parts of all objects is looked at again, so that nothing depends on an event
   * that was missed.
   */
  resync(part: number, count: number): void {
    const { streamJobs, savepoints } = this.stores
    const isDue = (key: Key): boolean => Math.floor(placeOf(key) * count) === part
    for (const key of streamJobs.keys()) if (isDue(key)) this.queues.streamJobs.add(key, 'routine')
    for (const key of savepoints.keys()) if (isDue(key)) this.queues.savepoints.add(key, 'routine')
  }

  enqueueSavepointsOf(job: Key, urgency = this.#urgency): void {
    for (const savepoint of this.stores.savepoints.indexed(job))
      this.queues.savepoints.add(keyOfObject(savepoint), urgency)
  }

  /** Listeners only enqueue: what a reconcile does depends on the state that it reads. */
  #listen(): void {
    const { streamJobs, savepoints, pods, deployments, replicaSets } = this.stores
    streamJobs.onChange((key, job, previous) => {
      this.queues.streamJobs.add(key, this.#urgency)
      this.enqueueSavepointsOf(key)
      if (job.status?.restoredFrom !== previous?.status?.restoredFrom) this.#enqueueUnverified(job)
    })
    savepoints.onChange((key, savepoint) => {
      this.queues.savepoints.add(key, this.#urgency)
      for (const job of jobsOfSavepoint(savepoint)) this.queues.streamJobs.add(job, this.#urgency)
      for (const job of streamJobs.values())
        if (restoresFrom(job, savepoint)) this.queues.streamJobs.add(keyOfObject(job), this.#urgency)
    })
    for (const store of [pods, deployments, replicaSets])
      store.onChange((_key, object) => {
        for (const job of jobsOf(object)) this.queues.streamJobs.add(job, this.#urgency)
      })
  }

  /** A job that was restored from an import has verified it. */
  #enqueueUnverified({ metadata: { namespace } }: StreamJobObject): void {
    for (const savepoint of this.stores.savepoints.values())
      if (savepoint.status?.phase === 'Unverified' && savepoint.metadata.namespace === namespace)
        this.queues.savepoints.add(keyOfObject(savepoint), this.#urgency)
  }

  #reflect<T extends KubeObject>(
    resource: Resource,
    store: Store<T>,
    scope: { readonly namespace: string | undefined; readonly labelSelector?: string },
  ): { readonly kind: string; readonly reflector: AnyReflector } {
    const { client, clock, random, logger } = this.#options
    const reflector = new Reflector<T>({ client, resource, store, clock, random, logger, ...scope })
    return { kind: resource.kind, reflector }
  }
}

function restoresFrom(job: StreamJobObject, savepoint: KubeObject): boolean {
  const reference = member(member(job.spec, 'restore'), 'savepointRef')
  return (
    job.metadata.namespace === savepoint.metadata.namespace &&
    member(reference, 'name') === savepoint.metadata.name
  )
}
