import { API_VERSION } from '#operator/api/group'

/** How kinds are addressed on the API server. */
export interface Resource {
  readonly apiVersion: string
  readonly kind: string
  readonly plural: string
}

const define = (apiVersion: string, kind: string, plural: string): Resource => ({ apiVersion, kind, plural })

export const RESOURCES = {
  StreamJob: define(API_VERSION, 'StreamJob', 'streamjobs'),
  Savepoint: define(API_VERSION, 'Savepoint', 'savepoints'),
  Pod: define('v1', 'Pod', 'pods'),
  Deployment: define('apps/v1', 'Deployment', 'deployments'),
  ReplicaSet: define('apps/v1', 'ReplicaSet', 'replicasets'),
  ConfigMap: define('v1', 'ConfigMap', 'configmaps'),
  Secret: define('v1', 'Secret', 'secrets'),
  Service: define('v1', 'Service', 'services'),
  ServiceAccount: define('v1', 'ServiceAccount', 'serviceaccounts'),
  NetworkPolicy: define('networking.k8s.io/v1', 'NetworkPolicy', 'networkpolicies'),
  PodDisruptionBudget: define('policy/v1', 'PodDisruptionBudget', 'poddisruptionbudgets'),
  Namespace: define('v1', 'Namespace', 'namespaces'),
  Event: define('v1', 'Event', 'events'),
  Lease: define('coordination.k8s.io/v1', 'Lease', 'leases'),
} as const satisfies Record<string, Resource>

export function resourceOf(kind: string): Resource {
  const found = Object.values(RESOURCES).find((resource) => resource.kind === kind)
  if (found === undefined) throw new TypeError(`The operator does not write objects of kind ${kind}`)
  return found
}

/**
 * `/apis/apps/v1/namespaces/shop/deployments/orders`; without namespace: of all namespaces, or
 * cluster-scoped.
 */
export function pathOf(
  resource: Resource,
  namespace: string | undefined,
  name?: string,
  subresource?: string,
): string {
  const root = resource.apiVersion.includes('/')
    ? `/apis/${resource.apiVersion}`
    : `/api/${resource.apiVersion}`
  const scope = namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`
  const object = name === undefined ? '' : `/${encodeURIComponent(name)}`
  return `${root}${scope}/${resource.plural}${object}${subresource === undefined ? '' : `/${subresource}`}`
}
