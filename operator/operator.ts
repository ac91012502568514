/**
 * The operator as an object graph. Order of starting, and why: server (so that probes answer),
 * watches (a standby keeps its caches warm), caches filled (else everything looks as if it did not
 * exist), cluster identity, Lease, controllers. Stopping goes the other way; the Lease is released
 * last, when nothing of this process writes any more.
 */
import { reasonOf } from '#runtime/base/abort'
import type { Clock, Timer } from '#runtime/base/clock'
import type { Logger } from '#runtime/base/logger'
import type { JobFacts } from '#runtime/contract/rest'
import { clusterIdentity, type ClusterIdentity } from './cluster-identity.ts'
import type { OperatorConfig } from './config.ts'
import { Controller } from './controller/controller.ts'
import { JobManagerWatcher } from './job-managers/watcher.ts'
import type { KubeClient } from './kube/client.ts'
import { KubeEventRecorder } from './kube/events.ts'
import { LeaseElector } from './kube/lease.ts'
import { type Key, splitKey } from './kube/store.ts'
import type { StreamJobObject } from './resources/object.ts'
import { jobToken } from './resources/secret.ts'
import { SavepointReconciler } from './savepoint/reconciler.ts'
import { HealthServer } from './server/health.ts'
import { OperatorMetrics } from './server/metrics.ts'
import { Applier } from './stream-job/apply.ts'
import { isAsWritten } from './stream-job/as-written.ts'
import { StreamJobReconciler } from './stream-job/reconciler.ts'
import { Watches } from './watches.ts'

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

/** A watch that has been silent for this long does not come back by itself. */
const WATCH_DEAD_MS = 900_000
/**
 * A job whose only news is a further checkpoint is looked at this much later; how often the
 * checkpoint is written is the status's own rule.
 */
const CHECKPOINT_DELAY_MS = 5000

/** The looking again at all objects is spread over its period. */
const RESYNC_PARTS = 100

/** `deposed`: the Lease is lost, and the process should end, as its caches may be behind. */
export type OperatorEnd = 'stopped' | 'deposed'

export class Operator {
  readonly #options: OperatorOptions
  readonly #watches: Watches
  readonly #metrics: OperatorMetrics
  readonly #server: HealthServer
  #isSynced = false
  #isLeading = false

  constructor(options: OperatorOptions) {
    this.#options = options
    const { config, client, clock, random, logger } = options
    const watches = new Watches({ client, namespaces: config.watchNamespaces, clock, random, logger })
    this.#watches = watches
    this.#metrics = new OperatorMetrics({
      queueDepth: () => ({
        StreamJob: watches.queues.streamJobs.depth,
        Savepoint: watches.queues.savepoints.depth,
      }),
      contactAgeMs: () => watches.contactAgesMs(),
      jobsByPhase: () => countPhases(watches.stores.streamJobs.values()),
      isLeading: () => this.#isLeading,
    })
    this.#server = new HealthServer({
      registry: this.#metrics.registry,
      unready: () => (this.#isSynced ? undefined : 'caches are not filled yet'),
      unhealthy: () => deadWatch(watches.contactAgesMs()),
    })
  }

  /** Runs until the signal aborts or the Lease is lost. */
  async run(signal: AbortSignal): Promise<OperatorEnd> {
    const { config, client, logger } = this.#options
    const inner = new AbortController()
    const abort = () => inner.abort(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    if (signal.aborted) abort()
    const port = await this.#server.open(config.server.host, config.server.port)
    logger.info({ port, namespaces: config.watchNamespaces }, 'operator started')
    const watching = this.#watches.run(inner.signal)
    try {
      await untilAbort(this.#watches.synced(), inner.signal)
      this.#isSynced = true
      const { streamJobs, savepoints } = this.#watches.stores
      logger.info({ streamJobs: streamJobs.size, savepoints: savepoints.size }, 'caches filled')
      return await this.#lead(inner.signal)
    } catch (error) {
      if (inner.signal.aborted) return 'stopped'
      throw error
    } finally {
      signal.removeEventListener('abort', abort)
      inner.abort()
      await watching
      await this.#server.close()
      client.close()
    }
  }

  async #lead(signal: AbortSignal): Promise<OperatorEnd> {
    const { config, client, namespace, identity, clock, random, logger } = this.#options
    const { lease, clusterId, tokenKeySecret } = config
    const known = await clusterIdentity({ client, clusterId, namespace, tokenKeySecret, logger }, signal)
    if (!lease.enabled) {
      await this.#control(signal, known)
      return 'stopped'
    }
    const elector = new LeaseElector({ client, namespace, identity, clock, random, logger, ...lease })
    await elector.acquire(signal)
    const leading = new AbortController()
    const controlled = this.#control(AbortSignal.any([signal, leading.signal]), known)
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

  async #control(signal: AbortSignal, known: ClusterIdentity): Promise<void> {
    const { client, identity, clock, random, logger, jobPort } = this.#options
    const events = new KubeEventRecorder({ client, clock, logger, identity })
    const jobManagers = new JobManagerWatcher({
      clock,
      random,
      logger,
      onChange: (key, urgency, facts) => this.#factsChanged(key, urgency, facts),
      ...(jobPort === undefined ? {} : { port: jobPort }),
    })
    const controllers = this.#controllers(known, jobManagers, events)
    this.#isLeading = true
    const resync = this.#resync()
    try {
      await Promise.all(controllers.map((c) => c.run(signal)))
    } finally {
      this.#isLeading = false
      resync.cancel()
      jobManagers.close()
      await events.flush()
    }
  }

  #controllers(
    { cluster, tokenKey }: ClusterIdentity,
    jobManagers: JobManagerWatcher,
    events: KubeEventRecorder,
  ): readonly Controller[] {
    const { config, client, namespace, clock, logger } = this.#options
    const { stores, queues } = this.#watches
    const { defaults, workers } = config
    const shared = { client, stores, jobManagers, defaults, events, clock, logger }
    const applier = new Applier({ ...shared, store: stores.streamJobs, cluster, namespace, tokenKey })
    const streamJobs = new StreamJobReconciler({
      ...shared,
      applier,
      tokenOf: (job) => jobToken(tokenKey, job),
    })
    const savepoints = new SavepointReconciler({
      gather: shared,
      apply: { ...shared, store: stores.savepoints },
      events,
    })
    const onResult = this.#metrics.onResult.bind(this.#metrics)
    const common = { workers, clock, logger, onResult }
    return [
      new Controller({
        ...common,
        name: 'StreamJob',
        queue: queues.streamJobs,
        reconcile: (key, signal) => streamJobs.reconcile(key, signal),
        onFailing: (failing, signal) => streamJobs.failing(failing, signal),
      }),
      new Controller({
        ...common,
        name: 'Savepoint',
        queue: queues.savepoints,
        reconcile: (key, signal) => savepoints.reconcile(key, signal),
        onFailing: (failing, signal) => savepoints.failing(failing, signal),
      }),
    ]
  }

  /** Everything at once, then again and again in parts. */
  #resync(): { cancel(): void } {
    const { clock, config } = this.#options
    let part = 0
    let timer: Timer
    const next = () => {
      timer = clock.after(config.resyncMs / RESYNC_PARTS, () => {
        this.#watches.resync(part, RESYNC_PARTS)
        part = (part + 1) % RESYNC_PARTS
        next()
      })
    }
    this.#watches.begin()
    next()
    return { cancel: () => timer.cancel() }
  }

  #factsChanged(key: Key, urgency: 'first' | 'now' | 'later', facts: JobFacts | undefined): void {
    const { queues, stores } = this.#watches
    if (urgency === 'later') {
      queues.streamJobs.addAfter(key, CHECKPOINT_DELAY_MS)
      return
    }
    const { namespace, name } = splitKey(key)
    const status = stores.streamJobs.get(namespace, name)?.status ?? {}
    const isNews = urgency === 'now' || facts === undefined || !isAsWritten(status, facts)
    queues.streamJobs.add(key, isNews ? 'urgent' : 'routine')
    this.#watches.enqueueSavepointsOf(key, isNews ? 'urgent' : 'routine')
  }
}

function deadWatch(agesMs: Readonly<Record<string, number>>): string | undefined {
  const dead = Object.entries(agesMs).find(([, ms]) => ms > WATCH_DEAD_MS)
  return dead && `nothing heard about ${dead[0]} for ${Math.round(dead[1] / 1000)} s`
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
    if (signal.aborted) return reject(reasonOf(signal))
    signal.addEventListener('abort', () => reject(reasonOf(signal)), { once: true })
    work.then(resolve, reject)
  })
}
