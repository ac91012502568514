import { randomBytes } from 'node:crypto'
import type { Clock, Timer } from '#runtime/base/clock'
import { WeirError } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import type { OperatorConfig } from './config.ts'
import { Controller } from './controller/controller.ts'
import { WorkQueue } from './controller/workqueue.ts'
import type { KubeClient } from './kube/client.ts'
import { isConflict, isNotFound } from './kube/errors.ts'
import { KubeEventRecorder } from './kube/events.ts'
import { LeaseElector } from './kube/lease.ts'
import { Reflector } from './kube/reflector.ts'
import { RESOURCES, type Resource } from './kube/resource.ts'
import { keyOf, keyOfObject, Store } from './kube/store.ts'
import { LABEL_JOB } from './resources/labels.ts'
import type { KubeObject } from './resources/object.ts'
import { jobToken } from './resources/secret.ts'
import { SavepointReconciler } from './savepoint/reconciler.ts'
import { HealthServer } from './server/health.ts'
import { OperatorMetrics } from './server/metrics.ts'
import { Applier } from './stream-job/apply.ts'
import { FactsHub } from './stream-job/facts.ts'
import type { SavepointObject, Stores } from './stream-job/gather.ts'
import { JobClient } from './stream-job/job-client.ts'
import { StreamJobReconciler } from './stream-job/reconciler.ts'
import type { StreamJobObject } from './stream-job/stream-job-object.ts'

export interface OperatorOptions {
  readonly config: OperatorConfig
  readonly client: KubeClient
  readonly namespace: string
  /** Name of this process in the Lease and in events. */
  readonly identity: string
  readonly clock: Clock
  readonly random: () => number
  readonly logger: Logger
  /** Port of the JobManagers' REST. */
  readonly jobPort?: number
}

/** A watch that has been silent for so long is not coming back by itself. */
const WATCH_DEAD_MS = 900_000
/**
 * A further checkpoint is noted so late at most; how often it is written is the status's own rule.
 */
const CHECKPOINT_DELAY_MS = 5000

/**
 * The operator as an object graph. Order of starting, and why: server (so that probes answer),
 * reflectors (a stand-by keeps its caches warm), caches filled (else everything looks as if it did
 * not exist), key and cluster identity, Lease, controllers. Stopping goes the other way; the Lease
 * is released last, when nothing of this process writes any more.
 */
export class Operator {
  readonly #options: OperatorOptions
  readonly #stores: Stores
  readonly #reflectors: readonly { readonly kind: string; readonly reflector: Reflector<never> }[]
  readonly #queues: { readonly streamJobs: WorkQueue; readonly savepoints: WorkQueue }
  readonly #metrics: OperatorMetrics
  readonly #server: HealthServer
  #isSynced = false
  #isLeading = false

  constructor(options: OperatorOptions) {
    this.#options = options
    const { config, clock, random } = options
    this.#stores = {
      streamJobs: new Store<StreamJobObject>(),
      savepoints: new Store<SavepointObject>(jobKeysOfSavepoint),
      pods: new Store(jobKeys),
      deployments: new Store(jobKeys),
      replicaSets: new Store(jobKeys),
    }
    this.#queues = {
      streamJobs: new WorkQueue({ clock, random }),
      savepoints: new WorkQueue({ clock, random }),
    }
    const scopes = config.watchNamespaces.length === 0 ? [undefined] : config.watchNamespaces
    this.#reflectors = scopes.flatMap((namespace) => [
      this.#reflect(RESOURCES.StreamJob, this.#stores.streamJobs, namespace),
      this.#reflect(RESOURCES.Savepoint, this.#stores.savepoints, namespace),
      this.#reflect(RESOURCES.Pod, this.#stores.pods, namespace, LABEL_JOB),
      this.#reflect(RESOURCES.Deployment, this.#stores.deployments, namespace, LABEL_JOB),
      this.#reflect(RESOURCES.ReplicaSet, this.#stores.replicaSets, namespace, LABEL_JOB),
    ])
    this.#metrics = new OperatorMetrics({
      queueDepth: () => ({
        StreamJob: this.#queues.streamJobs.depth,
        Savepoint: this.#queues.savepoints.depth,
      }),
      contactAgeMs: () => this.#contactAges(),
      jobsByPhase: () => countPhases(this.#stores.streamJobs.values()),
      isLeading: () => this.#isLeading,
    })
    this.#server = new HealthServer({
      registry: this.#metrics.registry,
      unready: () => (this.#isSynced ? undefined : 'caches are not filled yet'),
      unhealthy: () => {
        const dead = Object.entries(this.#contactAges()).find(([, ms]) => ms > WATCH_DEAD_MS)
        return dead && `nothing heard about ${dead[0]} for ${Math.round(dead[1] / 1000)} s`
      },
    })
    this.#wake()
  }

  /**
   * Runs until the signal aborts ('stopped') or the Lease is lost ('deposed'; the process should
   * end, as its caches may be behind).
   */
  async run(signal: AbortSignal): Promise<'stopped' | 'deposed'> {
    const { config, client, logger } = this.#options
    const inner = new AbortController()
    const abort = () => inner.abort(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    if (signal.aborted) abort()
    const port = await this.#server.open(config.server.host, config.server.port)
    logger.info({ port, namespaces: config.watchNamespaces }, 'operator started')
    const reflecting = this.#reflectors.map(({ reflector }) => reflector.run(inner.signal))
    try {
      await untilAbort(Promise.all(this.#reflectors.map(({ reflector }) => reflector.synced)), inner.signal)
      this.#isSynced = true
      logger.info(
        { streamJobs: this.#stores.streamJobs.size, savepoints: this.#stores.savepoints.size },
        'caches filled',
      )
      return await this.#lead(inner.signal)
    } catch (error) {
      if (inner.signal.aborted) return 'stopped'
      throw error
    } finally {
      signal.removeEventListener('abort', abort)
      inner.abort()
      await Promise.all(reflecting)
      await this.#server.close()
      client.close()
    }
  }

  async #lead(signal: AbortSignal): Promise<'stopped' | 'deposed'> {
    const { config, client, namespace, identity, clock, random, logger } = this.#options
    const cluster = config.clusterId ?? (await this.#clusterUid(signal))
    const tokenKey = await this.#tokenKey(signal)
    const { lease } = config
    if (!lease.enabled) {
      await this.#control(signal, cluster, tokenKey)
      return 'stopped'
    }
    const elector = new LeaseElector({ client, namespace, identity, clock, random, logger, ...lease })
    await elector.acquire(signal)
    const leading = new AbortController()
    const controlled = this.#control(AbortSignal.any([signal, leading.signal]), cluster, tokenKey)
    const released = new AbortController()
    const held = elector.hold(released.signal)
    const end = await Promise.race([held, controlled.then(() => 'controlled' as const)])
    if (end === 'lost') {
      leading.abort()
      await controlled
      return 'deposed'
    }
    await controlled
    released.abort()
    await held
    return 'stopped'
  }

  async #control(signal: AbortSignal, cluster: string, tokenKey: Uint8Array): Promise<void> {
    const { config, client, namespace, identity, clock, random, logger, jobPort } = this.#options
    const stores = this.#stores
    const { defaults, workers } = config
    const jobs = new JobClient()
    const events = new KubeEventRecorder({ client, clock, logger, identity })
    const facts = new FactsHub({
      client: jobs,
      clock,
      random,
      logger,
      onChange: (key, urgent) => this.#factsChanged(key, urgent),
      ...(jobPort === undefined ? {} : { port: jobPort }),
    })
    const applier = new Applier({
      client,
      jobs,
      store: stores.streamJobs,
      events,
      defaults,
      cluster,
      namespace,
      tokenKey,
      clock,
      logger,
    })
    const streamJobs = new StreamJobReconciler({
      gather: { client, stores, facts, defaults, tokenOf: (job) => jobToken(tokenKey, job), clock },
      applier,
      events,
      logger,
    })
    const savepoints = new SavepointReconciler({
      gather: { stores, facts, defaults, clock },
      apply: { client, jobs, store: stores.savepoints, logger },
      events,
    })
    const onResult = this.#metrics.onResult.bind(this.#metrics)
    const common = { workers, clock, logger, onResult }
    const controllers = [
      new Controller({
        ...common,
        name: 'StreamJob',
        queue: this.#queues.streamJobs,
        reconcile: (k, s) => streamJobs.reconcile(k, s),
      }),
      new Controller({
        ...common,
        name: 'Savepoint',
        queue: this.#queues.savepoints,
        reconcile: (k, s) => savepoints.reconcile(k, s),
      }),
    ]
    this.#isLeading = true
    const resync = this.#resync()
    try {
      await Promise.all(controllers.map((c) => c.run(signal)))
    } finally {
      this.#isLeading = false
      resync.cancel()
      facts.close()
      jobs.close()
      await events.flush()
    }
  }

  /**
   * Every object is looked at now and then, so that nothing depends on an event that was missed.
   */
  #resync(): { cancel(): void } {
    const { clock, config } = this.#options
    let timer: Timer
    const all = () => {
      for (const key of this.#stores.streamJobs.keys()) this.#queues.streamJobs.add(key)
      for (const key of this.#stores.savepoints.keys()) this.#queues.savepoints.add(key)
      timer = clock.after(config.resyncMs, all)
    }
    all()
    return { cancel: () => timer.cancel() }
  }

  /** Which change makes whom look again. Listeners only enqueue. */
  #wake(): void {
    const { streamJobs, savepoints, pods, deployments, replicaSets } = this.#stores
    const wakeSavepointsOf = (key: string) => {
      for (const savepoint of savepoints.indexed(key)) this.#queues.savepoints.add(keyOfObject(savepoint))
    }
    streamJobs.onChange((key) => {
      this.#queues.streamJobs.add(key)
      wakeSavepointsOf(key)
    })
    savepoints.onChange((key, savepoint) => {
      this.#queues.savepoints.add(key)
      for (const job of jobKeysOfSavepoint(savepoint)) this.#queues.streamJobs.add(job)
      for (const job of streamJobs.values())
        if (restoresFrom(job, savepoint)) this.#queues.streamJobs.add(keyOfObject(job))
    })
    for (const store of [pods, deployments, replicaSets])
      store.onChange((_key, object) => {
        for (const job of jobKeys(object)) this.#queues.streamJobs.add(job)
      })
  }

  #factsChanged(key: string, urgent: boolean): void {
    if (!urgent) {
      this.#queues.streamJobs.addAfter(key, CHECKPOINT_DELAY_MS)
      return
    }
    this.#queues.streamJobs.add(key)
    for (const savepoint of this.#stores.savepoints.indexed(key))
      this.#queues.savepoints.add(keyOfObject(savepoint))
  }

  #reflect<T extends KubeObject>(
    resource: Resource,
    store: Store<T>,
    namespace: string | undefined,
    labelSelector?: string,
  ) {
    const { client, clock, random, logger } = this.#options
    const reflector = new Reflector<T>({
      client,
      resource,
      store,
      namespace,
      clock,
      random,
      logger,
      ...(labelSelector === undefined ? {} : { labelSelector }),
    })
    return { kind: resource.kind, reflector: reflector as unknown as Reflector<never> }
  }

  /** By kind, the oldest of its namespaces. */
  #contactAges(): Readonly<Record<string, number>> {
    const ages: Record<string, number> = {}
    for (const { kind, reflector } of this.#reflectors)
      ages[kind] = Math.max(ages[kind] ?? 0, reflector.contactAgeMs())
    return ages
  }

  async #clusterUid(signal: AbortSignal): Promise<string> {
    try {
      const namespace = await this.#options.client.get(RESOURCES.Namespace, undefined, 'kube-system', signal)
      return namespace.metadata.uid ?? ''
    } catch (cause) {
      const message =
        'The uid of namespace kube-system cannot be read. Allow it, or name the cluster in clusterId of the configuration.'
      throw new WeirError('CFG_INVALID', message, { cause })
    }
  }

  /**
   * The key that tokens of jobs are derived from. The first operator makes it; all others read the
   * same one.
   */
  async #tokenKey(signal: AbortSignal): Promise<Uint8Array> {
    const { client, namespace, config, logger } = this.#options
    const name = config.tokenKeySecret
    const read = async () => {
      const secret = await client.get(RESOURCES.Secret, namespace, name, signal)
      const key = Buffer.from((secret['data'] as { key?: string } | undefined)?.key ?? '', 'base64')
      if (key.byteLength >= 16) return key
      throw new WeirError(
        'CFG_INVALID',
        `Secret ${name} in namespace ${namespace} has no key "key" of at least 16 bytes. Delete it to have a new one made.`,
      )
    }
    try {
      return await read()
    } catch (error) {
      if (!isNotFound(error)) throw error
    }
    try {
      const data = { key: randomBytes(32).toString('base64') }
      await client.create(
        { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, type: 'Opaque', data },
        signal,
      )
      logger.info({ secret: name }, 'token key made')
    } catch (error) {
      if (!isConflict(error)) throw error
    }
    return read()
  }
}

function jobKeys(object: KubeObject): readonly string[] {
  const job = object.metadata.labels?.[LABEL_JOB]
  return job === undefined ? [] : [keyOf(object.metadata.namespace ?? '', job)]
}

function jobKeysOfSavepoint(object: KubeObject): readonly string[] {
  const name = (object['spec'] as { streamJobRef?: { name?: string } } | undefined)?.streamJobRef?.name
  return name === undefined ? jobKeys(object) : [keyOf(object.metadata.namespace ?? '', name)]
}

function restoresFrom(job: StreamJobObject, savepoint: KubeObject): boolean {
  const spec = job.spec as { restore?: { savepointRef?: { name?: string } } } | undefined
  return (
    job.metadata.namespace === savepoint.metadata.namespace &&
    spec?.restore?.savepointRef?.name === savepoint.metadata.name
  )
}

function countPhases(jobs: Iterable<StreamJobObject>): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const job of jobs) {
    const phase = job.status?.phase ?? 'Unknown'
    counts[phase] = (counts[phase] ?? 0) + 1
  }
  return counts
}

function untilAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error)
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
    work.then(resolve, reject)
  })
}
