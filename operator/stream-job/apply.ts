/**
 * Carries out a plan, step by step; every step can be repeated. What the API server refuses for a
 * reason that the user can see and change comes back as a problem for the status; everything else
 * is thrown, and the reconcile is repeated later.
 */
import { messageOf } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import { JobManagerClient } from '#runtime/contract/job-manager-client'
import { compact } from '#operator/api/compact'
import { API_VERSION } from '#operator/api/group'
import type { StreamJobStatus } from '#operator/api/v1alpha1/stream-job-status'
import { isConflict, isNotFound } from '#operator/kube/errors'
import type { EventRecorder } from '#operator/kube/events'
import { RESOURCES } from '#operator/kube/resource'
import { isAsBuilt } from '#operator/resources/as-built'
import type { Key, Store } from '#operator/kube/store'
import {
  ANNOTATION_JOB_UID,
  ANNOTATION_TAKEN,
  ANNOTATION_TRIGGER,
  jobLabels,
  LABEL_LEADER,
} from '#operator/resources/labels'
import type { KubeObject, StreamJobObject } from '#operator/resources/object'
import type { JobRef } from '#operator/resources/run-context'
import { takenText } from '#operator/resources/taken-savepoint'
import { ApplyProblem, hasPodTemplate, nameTaken, problemOf } from './apply-problem.ts'
import { type EnsureContext, RunObjects } from './ensure-run.ts'
import type { Blocker, Observed } from './observed.ts'
import { pinSource } from './pin.ts'
import type { Plan, Step, StepOf } from './plan.ts'
import { streamJobStatus } from './status.ts'

export interface ApplyContext extends EnsureContext {
  readonly store: Store<StreamJobObject>
  readonly events: EventRecorder
  readonly logger: Logger
}

export interface Applied {
  /** As it was written last. */
  readonly object: StreamJobObject
  readonly problem: Blocker | undefined
}

/** A JobManager that does not answer within it is asked again by the next reconcile. */
const ANSWER_MS = 5000

export class Applier {
  readonly #context: ApplyContext
  readonly #runObjects: RunObjects

  constructor(context: ApplyContext) {
    this.#context = context
    this.#runObjects = new RunObjects(context)
  }

  /** The job is gone. */
  forget(key: Key): void {
    this.#runObjects.forget(key)
  }

  async apply(plan: Plan, observed: Observed, signal: AbortSignal): Promise<Applied> {
    let object = observed.object
    try {
      for (const step of plan.steps) {
        const status = object.status ?? {}
        if (step.kind === 'writeStatus') {
          // Whole, with its conditions: who reads between two writes must not take it for done.
          const next = compact<StreamJobStatus>({ ...status, ...step.status })
          const whole = streamJobStatus({ ...observed, status: next }, plan, undefined)
          object = await this.writeStatus(object, whole, signal)
        } else await this.#perform(step, { ...observed, status, object }, signal)
      }
    } catch (error) {
      const problem = problemOf(error, hasPodTemplate(observed.spec))
      if (problem === undefined) throw error
      return { object, problem }
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
    store.update(updated)
    return updated
  }

  async #perform(
    step: Exclude<Step, StepOf<'writeStatus'>>,
    o: Observed,
    signal: AbortSignal,
  ): Promise<void> {
    const { client, events } = this.#context
    const { namespace } = o.job
    switch (step.kind) {
      case 'pinSource':
        return pinSource(step, this.#context.clock)
      case 'ensureRun':
        return this.#runObjects.ensure(o, step.run, signal)
      case 'ensureCheck':
        return this.#runObjects.ensureCheck(o, step.id, signal)
      case 'delete': {
        const { resource, kind: _, ...target } = step
        return ignoreMissing(client.delete(RESOURCES[resource], { namespace, ...target }, signal))
      }
      case 'scale': {
        const { resource, name, replicas } = step
        const patch = { spec: { replicas } }
        return ignoreMissing(client.mergePatch(RESOURCES[resource], { namespace, name }, patch, signal))
      }
      case 'labelLeader':
        return this.#label(step, namespace, signal)
      case 'requestStop':
        return this.#requestStop(step, o)
      case 'createSavepoint':
        return this.#createSavepoint(stopSavepoint(o.job, step), signal)
      case 'event':
        return events.emit(o.object, step.type, step.reason, step.message)
    }
  }

  async #createSavepoint(savepoint: KubeObject, signal: AbortSignal): Promise<void> {
    const { client } = this.#context
    const { namespace, name, annotations } = savepoint.metadata
    try {
      await client.create(savepoint, signal)
    } catch (error) {
      if (!isConflict(error)) throw error
      const found = await client.get(RESOURCES.Savepoint, namespace, name, signal)
      const isOurs = isAsBuilt(found.metadata.annotations, annotations)
      if (!isOurs) throw new ApplyProblem(nameTaken('Savepoint', name), error)
    }
  }

  /**
   * By way of the status, which takes labels too: the right to patch pods as such would be the
   * right to change their images.
   */
  #label(step: StepOf<'labelLeader'>, namespace: string, signal: AbortSignal): Promise<void> {
    const labels = { [LABEL_LEADER]: step.isLeader ? 'true' : null }
    const target = { namespace, name: step.pod, subresource: 'status' } as const
    return ignoreMissing(
      this.#context.client.mergePatch(RESOURCES.Pod, target, { metadata: { labels } }, signal),
    )
  }

  /** Repeated by the next reconcile while the facts do not show the operation. */
  async #requestStop(step: StepOf<'requestStop'>, o: Observed): Promise<void> {
    const { clock, events, logger } = this.#context
    const { leader } = o.facts
    if (leader === undefined) return
    try {
      await new JobManagerClient(leader.address, { clock, answerMs: ANSWER_MS }).triggerStop(step.request)
    } catch (error) {
      const { namespace, name } = o.job
      const message = messageOf(error)
      logger.warn({ namespace, name, message }, 'stop not accepted')
      events.emit(o.object, 'Warning', 'StopRefused', `The run is asked again to stop: ${message}`)
    }
  }
}

function stopSavepoint(job: JobRef, step: StepOf<'createSavepoint'>): KubeObject {
  return {
    apiVersion: API_VERSION,
    kind: 'Savepoint',
    // Not owned by the job: deleting a job keeps its savepoints.
    metadata: {
      name: step.name,
      namespace: job.namespace,
      labels: jobLabels(job.name),
      annotations: {
        [ANNOTATION_TRIGGER]: step.trigger,
        [ANNOTATION_JOB_UID]: job.uid,
        [ANNOTATION_TAKEN]: takenText(step.taken),
      },
    },
    spec: { existingPath: step.path },
  }
}

async function ignoreMissing(work: Promise<unknown>): Promise<void> {
  try {
    await work
  } catch (error) {
    if (!isNotFound(error)) throw error
  }
}
