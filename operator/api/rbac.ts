/**
 * What the operator may do, as data; scripts/gen.ts writes it for the chart. Kept next to the API
 * so that a new call and its permission change together.
 */

export interface PolicyRule {
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  readonly verbs: readonly string[]
  readonly resourceNames?: readonly string[]
}

/**
 * In every namespace whose StreamJobs the operator serves: a ClusterRole, or one Role per namespace
 * in namespaced mode. Secrets can be created and overwritten (the job's own token, the copy of the
 * default credentials) but not read: not patched either, as the answer to a patch is the whole
 * object.
 */
export const JOB_NAMESPACE_RULES: readonly PolicyRule[] = [
  { apiGroups: ['weir.dev'], resources: ['streamjobs'], verbs: ['list', 'watch'] },
  { apiGroups: ['weir.dev'], resources: ['savepoints'], verbs: ['get', 'list', 'watch', 'create'] },
  {
    apiGroups: ['weir.dev'],
    resources: ['streamjobs/status', 'savepoints/status'],
    verbs: ['update'],
  },
  { apiGroups: ['weir.dev'], resources: ['streamjobs/finalizers'], verbs: ['update'] },
  {
    apiGroups: ['apps'],
    resources: ['deployments', 'replicasets'],
    verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'],
  },
  // Made and removed: the pod that checks a run before the one under way is stopped.
  { apiGroups: [''], resources: ['pods'], verbs: ['list', 'watch', 'create', 'delete'] },
  // The label of the leader: a patch of the pod itself could change its image.
  { apiGroups: [''], resources: ['pods/status'], verbs: ['patch'] },
  { apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'create', 'patch', 'delete'] },
  { apiGroups: [''], resources: ['services', 'serviceaccounts'], verbs: ['get', 'create', 'patch'] },
  { apiGroups: ['networking.k8s.io'], resources: ['networkpolicies'], verbs: ['get', 'create', 'patch'] },
  { apiGroups: ['policy'], resources: ['poddisruptionbudgets'], verbs: ['get', 'create', 'patch'] },
  { apiGroups: [''], resources: ['secrets'], verbs: ['create', 'update'] },
  { apiGroups: [''], resources: ['events'], verbs: ['create', 'patch'] },
]

/**
 * In the operator's own namespace, beside `get` on the Secrets that the chart's `defaults` name.
 */
export const OPERATOR_NAMESPACE_RULES: readonly PolicyRule[] = [
  { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['get', 'create', 'update'] },
  { apiGroups: [''], resources: ['secrets'], verbs: ['create'] },
  { apiGroups: [''], resources: ['events'], verbs: ['create', 'patch'] },
]

/**
 * Cluster-wide, also in namespaced mode where the cluster allows it: the uid of kube-system is the
 * identity of the cluster.
 */
export const CLUSTER_RULES: readonly PolicyRule[] = [
  { apiGroups: [''], resources: ['namespaces'], resourceNames: ['kube-system'], verbs: ['get'] },
]

/** Aggregated into the cluster's own roles view and edit. */
export const VIEW_RULES: readonly PolicyRule[] = [
  {
    apiGroups: ['weir.dev'],
    resources: ['streamjobs', 'savepoints', 'streamjobs/status', 'savepoints/status'],
    verbs: ['get', 'list', 'watch'],
  },
]
export const EDIT_RULES: readonly PolicyRule[] = [
  {
    apiGroups: ['weir.dev'],
    resources: ['streamjobs', 'savepoints', 'streamjobs/scale'],
    verbs: ['create', 'update', 'patch', 'delete', 'deletecollection'],
  },
]
