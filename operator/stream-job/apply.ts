import type { Clock } from '#runtime/base/clock'
import { invariant, messageOf, WeirError } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import type { StreamJobStatus } from '#operator/api/v1alpha1/stream-job'
import type { OperatorDefaults } from '#operator/config'
import type { KubeClient } from '#operator/kube/client'
import { isForbidden, isInvalid, isNotFound } from '#operator/kube/errors'
import type { EventRecorder } from '#operator/kube/events'
import { resourceOf, RESOURCES } from '#operator/kube/resource'
import type { Store } from '#operator/kube/store'
import { runConfigMap } from '#operator/resources/config-map'
import { jobManagerDeployment } from '#operator/resources/job-manager'
import { ANNOTATION_JOB_UID, ANNOTATION_TRIGGER, jobLabels, LABEL_LEADER } from '#operator/resources/labels'
import { names } from '#operator/resources/names'
import { networkPolicy } from '#operator/resources/network-policy'
import type { KubeObject } from '#operator/resources/object'
import { resolveRedis, resolveStorage, type JobRef, type RunContext } from '#operator/resources/run-context'
import { credentialsCopy, tokenSecret } from '#operator/resources/secret'
import { serviceAccount } from '#operator/resources/service-account'
import { headlessService, restService } from '#operator/resources/service'
import { taskManagerReplicaSet } from '#operator/resources/task-manager'
import type { Plan, Step } from './decide.ts'
import type { JobClient } from './job-client.ts'
import type { Blocker, Observed } from './observed.ts'
import type { StreamJobObject } from './stream-job-object.ts'

/**
 * Carries out a plan, step by step; every step can be repeated. What the API server refuses for a
 * reason that the user can see and change comes back as a problem for the status; everything else
 * is thrown and tried again.
 */
export interface ApplyContext {
  readonly client: KubeClient
  readonly jobs: JobClient
  readonly store: Store<StreamJobObject>
  readonly events: EventRecorder
  readonly defaults: OperatorDefaults
  readonly cluster: string
  /** The operator's own namespace, where default credentials are. */
  readonly namespace: string
  readonly tokenKey: Uint8Array
  readonly clock: Clock
  readonly logger: Logger
}

export interface Applied {
  readonly object: StreamJobObject
  readonly problem: Blocker | undefined
}

/** Objects of a run that nobody watches are looked at again after so long. */
const ENSURE_AGAIN_MS = 600_000

export class Applier {
  readonly #context: ApplyContext
  /** By uid of the job: run whose objects exist, and when that was seen. */
  readonly #ensured = new Map<string, { readonly run: number; readonly at: number }>()

  constructor(context: ApplyContext) {
    this.#context = context
  }

  forget(uid: string): void {
    this.#ensured.delete(uid)
  }

  async apply(plan: Plan, observed: Observed, signal: AbortSignal): Promise<Applied> {
    let object = observed.object as StreamJobObject
    for (const step of plan.steps) {
      try {
        object = await this.#step(step, { ...observed, status: object.status ?? {} }, object, signal)
      } catch (error) {
        const problem = problemOf(error)
        if (problem === undefined) throw error
        return { object, problem }
      }
    }
    return { object, problem: undefined }
  }

  /** Writes the status if nobody else has changed the object since it was read. */
  async writeStatus(
    object: StreamJobObject,
    status: StreamJobStatus,
    signal: AbortSignal,
  ): Promise<StreamJobObject> {
    const { client, store } = this.#context
    const updated = await client.replace<StreamJobObject>({ ...object, status }, 'status', signal)
    // The watch brings it too; until then the next reconcile must not act on the older one.
    store.put(updated)
    return updated
  }

  async #step(
    step: Step,
    o: Observed,
    object: StreamJobObject,
    signal: AbortSignal,
  ): Promise<StreamJobObject> {
    const { client, jobs, events, logger } = this.#context
    const { namespace } = o.job
    switch (step.kind) {
      case 'writeStatus':
        return this.writeStatus(object, { ...object.status, ...step.status }, signal)
      case 'ensureRun':
        await this.#ensureRun(o, step.run, signal)
        break
      case 'deleteTaskManagers':
        await ignoreMissing(
          client.delete(RESOURCES.ReplicaSet, { namespace, name: step.name, uid: step.uid }, signal),
        )
        break
      case 'deleteJobManager':
        await ignoreMissing(
          client.delete(
            RESOURCES.Deployment,
            { namespace, name: names.jobManager(o.job.name), uid: step.uid },
            signal,
          ),
        )
        break
      case 'deleteConfig':
        await ignoreMissing(
          client.delete(
            RESOURCES.ConfigMap,
            { namespace, name: names.runConfig(o.job.name, o.job.uid, step.run) },
            signal,
          ),
        )
        break
      case 'scaleJobManager':
        await client.mergePatch(
          RESOURCES.Deployment,
          { namespace, name: names.jobManager(o.job.name) },
          scaled(step.replicas),
          signal,
        )
        break
      case 'scaleTaskManagers':
        await client.mergePatch(
          RESOURCES.ReplicaSet,
          { namespace, name: step.name },
          scaled(step.replicas),
          signal,
        )
        break
      case 'labelLeader': {
        const labels = { [LABEL_LEADER]: step.isLeader ? 'true' : null }
        await ignoreMissing(
          client.mergePatch(RESOURCES.Pod, { namespace, name: step.pod }, { metadata: { labels } }, signal),
        )
        break
      }
      case 'requestStop': {
        const leader = o.facts.leader
        if (leader === undefined) break
        // Asked again by the next reconcile while the facts do not show the operation.
        await jobs
          .stop(leader.address, step.request)
          .catch((error: unknown) =>
            logger.warn({ namespace, name: o.job.name, why: messageOf(error) }, 'stop not accepted'),
          )
        break
      }
      case 'createSavepoint':
        await client.apply(stopSavepoint(o.job, step), signal)
        break
      case 'event':
        events.emit(object, step.type, step.reason, step.message)
        break
    }
    return object
  }

  async #ensureRun(o: Observed, run: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#context
    // Objects of the run are made from its own spec only: once the spec has moved on they stay as
    // they are until the run ends.
    if (o.desired.kind !== 'ready' || o.desired.specHash !== o.status.run?.specHash) return
    const hasWorkloads = o.jobManager?.run === run && o.taskManagers.some((w) => w.run === run)
    const ensured = this.#ensured.get(o.job.uid)
    if (hasWorkloads && ensured?.run === run && clock.monotonic() - ensured.at < ENSURE_AGAIN_MS) return
    const context = this.#runContext(o, run)
    for (const secret of await this.#secrets(context, signal))
      await this.#context.client.apply(secret, signal)
    await this.#ensureOwned(runConfigMap(context), o.job, false, signal)
    const shared = [
      ...(o.spec.serviceAccountName === undefined ? [serviceAccount(o.job)] : []),
      headlessService(o.job),
      restService(o.job),
      networkPolicy(o.job),
    ]
    for (const object of shared) await this.#ensureOwned(object, o.job, true, signal)
    // The workloads of a run are made once: an operator with other defaults or other builders
    // restarts nothing.
    if (o.jobManager?.run !== run) await this.#ensureOwned(jobManagerDeployment(context), o.job, true, signal)
    if (!o.taskManagers.some((w) => w.run === run))
      await this.#ensureOwned(taskManagerReplicaSet(context), o.job, true, signal)
    this.#ensured.set(o.job.uid, { run, at: clock.monotonic() })
  }

  #runContext(o: Observed, run: number): RunContext {
    invariant(
      o.desired.kind === 'ready',
      'objects of a run are built only when everything that they need is known',
    )
    const { restore } = o.desired
    const applies = restore !== undefined && restore.hash === o.status.run?.restoreHash
    return {
      job: o.job,
      cluster: this.#context.cluster,
      run,
      image: o.status.image ?? o.spec.image ?? o.defaultImage,
      spec: o.spec,
      defaults: this.#context.defaults,
      module: o.desired.module,
      ...(applies
        ? {
            restore: {
              allowNonRestoredState: restore.allowNonRestoredState,
              ...(restore.path === undefined ? {} : { path: restore.path }),
            },
          }
        : {}),
    }
  }

  async #secrets(context: RunContext, signal: AbortSignal): Promise<readonly KubeObject[]> {
    const { job, spec, defaults } = context
    const secrets = [tokenSecret(this.#context.tokenKey, job)]
    for (const resolved of [resolveStorage(job, spec, defaults), resolveRedis(job, spec, defaults)]) {
      if (resolved?.copyOf === undefined || resolved.secretName === undefined) continue
      secrets.push(
        credentialsCopy(job, resolved.secretName, await this.#defaultCredentials(resolved.copyOf, signal)),
      )
    }
    return secrets
  }

  async #defaultCredentials(name: string, signal: AbortSignal): Promise<Readonly<Record<string, string>>> {
    const { client, namespace } = this.#context
    try {
      const secret = await client.get(RESOURCES.Secret, namespace, name, signal)
      return (secret['data'] ?? {}) as Record<string, string>
    } catch (error) {
      if (!isNotFound(error)) throw error
      throw new ApplyProblem({
        reason: 'CredentialsMissing',
        message: `Secret ${name} in namespace ${namespace}, which the operator's defaults name, does not exist.`,
        needsUser: true,
      })
    }
  }

  /**
   * Makes an object that belongs to the job; never takes over one that does not. `update`: also
   * brings an existing one up to date.
   */
  async #ensureOwned(object: KubeObject, job: JobRef, update: boolean, signal: AbortSignal): Promise<void> {
    const { client } = this.#context
    const { kind } = object
    const { namespace, name } = object.metadata
    const existing = await client.get(resourceOf(kind), namespace, name, signal).catch((error: unknown) => {
      if (isNotFound(error)) return undefined
      throw error
    })
    if (existing !== undefined) {
      const owner = existing.metadata.ownerReferences?.find((o) => o.controller === true)
      // Left by a predecessor of the same name, or on its way out: soon gone.
      if (
        existing.metadata.deletionTimestamp !== undefined ||
        (owner?.kind === 'StreamJob' && owner.name === job.name && owner.uid !== job.uid)
      )
        throw new WeirError('KUB_API', `${kind} ${name} is being deleted`, { retry: 'backoff' })
      if (owner?.uid !== job.uid)
        throw new ApplyProblem({
          reason: 'NameTaken',
          message: `${kind} ${name} exists and belongs to somebody else. Delete it, or give the StreamJob another name.`,
          needsUser: true,
        })
      if (!update) return
    }
    try {
      await client.apply(object, signal)
    } catch (error) {
      if (isInvalid(error) && (kind === 'Deployment' || kind === 'ReplicaSet'))
        throw new ApplyProblem(
          { reason: 'PodTemplateInvalid', message: error.detail, needsUser: true },
          error,
        )
      throw error
    }
  }
}

/** A failure that belongs into the status. */
class ApplyProblem extends Error {
  readonly problem: Blocker
  constructor(problem: Blocker, cause?: unknown) {
    super(problem.message, { cause })
    this.name = 'ApplyProblem'
    this.problem = problem
  }
}

function problemOf(error: unknown): Blocker | undefined {
  if (error instanceof ApplyProblem) return error.problem
  if (isForbidden(error)) return { reason: 'QuotaExceeded', message: error.detail, needsUser: false }
  return undefined
}

function stopSavepoint(job: JobRef, step: Extract<Step, { kind: 'createSavepoint' }>): KubeObject {
  return {
    apiVersion: 'weir.dev/v1alpha1',
    kind: 'Savepoint',
    // Not owned by the job: deleting a job keeps its savepoints.
    metadata: {
      name: step.name,
      namespace: job.namespace,
      labels: jobLabels(job.name),
      annotations: { [ANNOTATION_TRIGGER]: step.trigger, [ANNOTATION_JOB_UID]: job.uid },
    },
    spec: { existingPath: step.path },
  }
}

const scaled = (replicas: number): object => ({ spec: { replicas } })

async function ignoreMissing(work: Promise<unknown>): Promise<void> {
  try {
    await work
  } catch (error) {
    if (!isNotFound(error)) throw error
  }
}
