import type { Clock } from '#runtime/base/clock'
import { invariant, WeirError } from '#runtime/base/errors'
import type { RunNumber } from '#runtime/contract/ids'
import { isConflict, isNotFound } from '#operator/kube/errors'
import { resourceOf } from '#operator/kube/resource'
import { type Key, keyOf, placeOf } from '#operator/kube/store'
import { runConfigMap } from '#operator/resources/config-map'
import { disruptionBudgets } from '#operator/resources/disruption-budget'
import { checkPod, jobManagerDeployment } from '#operator/resources/job-manager'
import { networkPolicy } from '#operator/resources/network-policy'
import { isAsBuilt } from '#operator/resources/as-built'
import { names } from '#operator/resources/names'
import type { KubeObject } from '#operator/resources/object'
import type { JobRef, RunContext } from '#operator/resources/run-context'
import { jobToken } from '#operator/resources/secret'
import { headlessService, restService } from '#operator/resources/service'
import { serviceAccount } from '#operator/resources/service-account'
import { taskManagerReplicaSet } from '#operator/resources/task-manager'
import { ApplyProblem, nameTaken } from './apply-problem.ts'
import type { Desired, Observed } from './observed.ts'
import { runNumber } from './run-state.ts'
import { makeSecrets, type SecretContext } from './secrets.ts'

export interface EnsureContext extends SecretContext {
  /** Identity of the cluster in the storage. */
  readonly cluster: string
  readonly clock: Clock
}

/**
 * Objects of a run that nobody watches are looked at again at this interval; a little less than the
 * resync, which leads here.
 */
const LOOK_AGAIN_MS = 540_000
/** While a pod waits for its volumes: what it lacks may be one of them. */
const MISSING_LOOK_MS = 5000

/**
 * Makes the objects of runs. A run is made from its own spec only: once the spec has changed its
 * objects stay as they are until the run ends.
 */
export class RunObjects {
  readonly #context: EnsureContext
  /** The run of each job whose objects exist, and when that was seen last. */
  readonly #seen = new Map<Key, { readonly uid: string; readonly run: RunNumber; readonly at: number }>()

  constructor(context: EnsureContext) {
    this.#context = context
  }

  /** The job is gone. */
  forget(key: Key): void {
    this.#seen.delete(key)
  }

  /** @throws {ApplyProblem} when the user has to change something */
  async ensure(o: Observed, run: RunNumber, signal: AbortSignal): Promise<void> {
    if (o.desired.kind !== 'ready' || o.desired.specHash !== o.status.run?.specHash) return
    if (this.#isComplete(o, run)) return
    const { clock } = this.#context
    const context = this.#runContext(o, run)
    const { job } = o
    await makeSecrets(this.#context, context, signal)
    await this.#make(runConfigMap(context), job, signal)
    for (const object of sharedObjects(o)) await this.#makeOrUpdate(object, job, signal)
    // The workloads of a run are made once: an operator with other defaults or other builders
    // restarts nothing.
    if (!hasJobManager(o, run)) await this.#makeOrUpdate(jobManagerDeployment(context), job, signal)
    if (!hasTaskManagers(o, run)) await this.#makeOrUpdate(taskManagerReplicaSet(context), job, signal)
    this.#seen.set(keyOf(job.namespace, job.name), { uid: job.uid, run, at: clock.monotonic() })
  }

  /**
   * Makes the pod that checks the next run, and its configuration.
   * @throws {ApplyProblem} when the user has to change something
   */
  async ensureCheck(o: Observed, id: string, signal: AbortSignal): Promise<void> {
    const { job } = o
    const context = this.#checkContext(o, id)
    await makeSecrets(this.#context, context, signal)
    await this.#make(runConfigMap(context), job, signal)
    try {
      await this.#context.client.create(checkPod(context, id), signal)
    } catch (error) {
      if (!isConflict(error)) throw error
    }
  }

  #isComplete(o: Observed, run: RunNumber): boolean {
    if (!hasJobManager(o, run) || !hasTaskManagers(o, run)) return false
    const { namespace, name, uid } = o.job
    const key = keyOf(namespace, name)
    const now = this.#context.clock.monotonic()
    const seen = this.#seen.get(key)
    if (seen?.uid === uid && seen.run === run) return now - seen.at < lookAgainMs(o)
    // Made by an operator before this one, which made the workloads last. What it made is looked at
    // within the interval, not everything of all jobs at the moment of a takeover.
    this.#seen.set(key, { uid, run, at: now - LOOK_AGAIN_MS * (1 - placeOf(key)) })
    return true
  }

  #runContext(o: Observed, run: RunNumber): RunContext {
    const { module, restore } = readyOf(o)
    const { resolved } = o.status
    invariant(resolved !== undefined, 'the storage of a run is on record before its objects are made')
    const applied = restore?.hash === o.status.run?.restoreHash ? restore : undefined
    return {
      ...this.#common(o),
      run,
      config: names.runConfig(o.job.name, o.job.uid, run),
      image: o.status.image ?? o.spec.image ?? o.defaultImage,
      resolved,
      module,
      ...(applied === undefined ? {} : { restore: restoreOptions(applied) }),
    }
  }

  /** What the next run would have, were it begun now. */
  #checkContext(o: Observed, id: string): RunContext {
    const { module, restore, resolved } = readyOf(o)
    const applied = restore?.hash === o.status.restoreHash ? undefined : restore
    return {
      ...this.#common(o),
      run: runNumber(o) + 1,
      config: names.check(o.job.name, id),
      image: o.spec.image ?? o.defaultImage,
      resolved,
      module,
      ...(applied === undefined ? {} : { restore: restoreOptions(applied) }),
    }
  }

  #common({
    job,
    spec,
  }: Observed): Pick<RunContext, 'job' | 'cluster' | 'spec' | 'defaults' | 'tokenSecret'> {
    const { cluster, defaults, tokenKey } = this.#context
    const tokenSecret = names.tokenSecret(job.name, jobToken(tokenKey, job))
    return { job, cluster, spec, defaults, tokenSecret }
  }

  /** Makes an object that belongs to the job and never changes. */
  async #make(object: KubeObject, job: JobRef, signal: AbortSignal): Promise<void> {
    if ((await this.#existing(object, job, signal)) === undefined)
      await this.#context.client.apply(object, signal)
  }

  /** Makes an object that belongs to the job, or brings it up to date. */
  async #makeOrUpdate(object: KubeObject, job: JobRef, signal: AbortSignal): Promise<void> {
    const existing = await this.#existing(object, job, signal)
    if (existing === undefined || !isAsBuilt(existing, object))
      await this.#context.client.apply(object, signal)
  }

  /** The object as it is now. @throws {ApplyProblem} when it belongs to somebody else */
  async #existing(object: KubeObject, job: JobRef, signal: AbortSignal): Promise<KubeObject | undefined> {
    const { kind, metadata } = object
    const { namespace, name } = metadata
    const found = await this.#context.client
      .get(resourceOf(kind), namespace, name, signal)
      .catch((error: unknown) => {
        if (isNotFound(error)) return undefined
        throw error
      })
    if (found === undefined) return undefined
    switch (ownerOf(found, job)) {
      case 'job':
        return found
      case 'leaving':
        throw new WeirError('KUB_API', `${kind} ${name} is being deleted`, { retry: 'backoff' })
      case 'other':
        throw new ApplyProblem(nameTaken(kind, name))
    }
  }
}

function readyOf({ desired }: Observed): Extract<Desired, { kind: 'ready' }> {
  invariant(
    desired.kind === 'ready',
    'objects of a run are built only when everything that they need is known',
  )
  return desired
}

const lookAgainMs = ({ podProblem }: Observed): number =>
  podProblem?.reason === 'MountFailed' ? MISSING_LOOK_MS : LOOK_AGAIN_MS

const hasJobManager = (o: Observed, run: RunNumber): boolean => o.jobManager?.run === run
const hasTaskManagers = (o: Observed, run: RunNumber): boolean => o.taskManagers.some((w) => w.run === run)

const sharedObjects = ({ job, spec }: Observed): readonly KubeObject[] => [
  ...(spec.serviceAccountName === undefined ? [serviceAccount(job)] : []),
  headlessService(job),
  restService(job),
  networkPolicy(job),
  ...disruptionBudgets(job),
]

const restoreOptions = (restore: {
  readonly path?: string
  readonly allowNonRestoredState: boolean
}): NonNullable<RunContext['restore']> => ({
  allowNonRestoredState: restore.allowNonRestoredState,
  ...(restore.path === undefined ? {} : { path: restore.path }),
})

/** `leaving`: left by a predecessor of the same name, or being deleted: soon gone. */
function ownerOf({ metadata }: KubeObject, job: JobRef): 'job' | 'leaving' | 'other' {
  if (metadata.deletionTimestamp !== undefined) return 'leaving'
  const owner = metadata.ownerReferences?.find((o) => o.controller === true)
  if (owner?.uid === job.uid) return 'job'
  return owner?.kind === 'StreamJob' && owner.name === job.name ? 'leaving' : 'other'
}
