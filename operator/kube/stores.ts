import { member, textMember } from '#runtime/base/member'
import { LABEL_JOB } from '#operator/resources/labels'
import type { KubeObject, SavepointObject, StreamJobObject } from '#operator/resources/object'
import { type Key, keyOf, Store } from './store.ts'

/**
 * What the operator knows of the cluster, filled by its reflectors. All but the StreamJobs are
 * indexed by the StreamJob that they belong to.
 */
export interface Stores {
  readonly streamJobs: Store<StreamJobObject>
  readonly savepoints: Store<SavepointObject>
  readonly pods: Store<KubeObject>
  readonly deployments: Store<KubeObject>
  readonly replicaSets: Store<KubeObject>
}

export function createStores(): Stores {
  return {
    streamJobs: new Store<StreamJobObject>(),
    savepoints: new Store<SavepointObject>(jobsOfSavepoint),
    pods: new Store(jobsOf),
    deployments: new Store(jobsOf),
    replicaSets: new Store(jobsOf),
  }
}

/** The StreamJob that the object's label names, if any. */
export function jobsOf(object: KubeObject): readonly Key[] {
  const job = object.metadata.labels?.[LABEL_JOB]
  return job === undefined ? [] : [keyOf(object.metadata.namespace ?? '', job)]
}

/** The StreamJob that a Savepoint is taken from. */
export function jobsOfSavepoint(object: KubeObject): readonly Key[] {
  const name = textMember(member(object['spec'], 'streamJobRef'), 'name')
  return name === undefined ? jobsOf(object) : [keyOf(object.metadata.namespace ?? '', name)]
}
