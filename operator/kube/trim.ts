/**
 * What of an object stays in memory. A decision that needs more of it needs it here first.
 *
 * - No object: managedFields and the copy of the manifest that `kubectl apply` leaves, each often
 *   as large as the rest. Neither is lost by writing the status of such an object: that leaves its
 *   metadata alone.
 * - Pods: of the spec the volumes and the node only.
 * - Deployments and ReplicaSets: of the spec the replicas only.
 */
import type { KubeObject } from '#operator/resources/object'

const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration'
const KEPT: Readonly<Record<string, readonly string[]>> = {
  Pod: ['volumes', 'nodeName'],
  Deployment: ['replicas'],
  ReplicaSet: ['replicas'],
}

export function trim<T extends KubeObject>(object: T): T {
  const {
    managedFields: _,
    annotations,
    ...metadata
  } = object.metadata as T['metadata'] & {
    managedFields?: unknown
  }
  const kept = KEPT[object.kind]
  return {
    ...object,
    metadata: {
      ...metadata,
      ...(annotations === undefined ? {} : { annotations: without(annotations, LAST_APPLIED) }),
    },
    ...(kept === undefined ? {} : { spec: only(object['spec'], kept) }),
  }
}

const only = (of: unknown, names: readonly string[]): Readonly<Record<string, unknown>> =>
  Object.fromEntries(Object.entries(of ?? {}).filter(([name]) => names.includes(name)))

const without = (of: Readonly<Record<string, string>>, name: string): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(of).filter(([key]) => key !== name))
