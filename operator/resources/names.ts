import { createHash } from 'node:crypto'
import type { RunNumber } from '#runtime/contract/ids'

/** The only place where names of objects, ports and paths in pods are made. */
export const names = {
  /** Deployment of JobManagers and the headless Service that TaskManagers resolve. */
  jobManager: (job: string) => `${job}-jm`,
  /** Service that selects the leading JobManager's pod. */
  restService: (job: string) => `${job}-rest`,
  /** ReplicaSet of one run. */
  taskManager: (job: string, run: RunNumber) => `${job}-tm-${run}`,
  /**
   * ConfigMap of one run: both process configurations and the source of the module. With the job's
   * uid: a node keeps an immutable ConfigMap by its name while a pod that mounts it ends, so a job
   * that is deleted and created again would be given the configuration, and the storage, of its
   * predecessor.
   */
  runConfig: (job: string, uid: string, run: RunNumber) => `${job}-run-${run}-${uid.slice(0, 8)}`,
  /** Pod that checks a run before it begins, and its ConfigMap; `id` says what is checked. */
  check: (job: string, id: string) => `${job}-check-${id}`,
  serviceAccount: (job: string) => `${job}-weir`,
  disruptionBudget: (job: string, component: 'job-manager' | 'task-manager') =>
    `${job}-${component === 'job-manager' ? 'jm' : 'tm'}`,
  networkPolicy: (job: string) => `${job}-weir`,
  /**
   * Secret with key `token`, which authenticates RPC, data and REST connections of the job. With a
   * hash of the token: one that the operator may neither read nor change has what its name says.
   */
  tokenSecret: (job: string, token: string) =>
    `${job}-weir-token-${createHash('sha256').update(token).digest('hex').slice(0, 10)}`,
  /**
   * Copies of default credentials. With the job's uid: the operator may not read a Secret to see
   * whose it is.
   */
  storageSecret: (job: string, uid: string) => `${job}-weir-s3-${uid.slice(0, 8)}`,
  redisSecret: (job: string, uid: string) => `${job}-weir-redis-${uid.slice(0, 8)}`,
  /**
   * Savepoint made when a run is stopped with one. With the job's uid, because it outlives the job
   * and a successor counts its runs from 1 again.
   */
  stopSavepoint: (job: string, uid: string, run: RunNumber, trigger: 'Upgrade' | 'Suspend') =>
    `${job}-${trigger.toLowerCase()}-${run}-${uid.slice(0, 8)}`,
} as const

export const ports = { rpc: 6123, data: 6124, rest: 8081 } as const

const MOUNT = '/etc/weir'
export const mounts = {
  config: `${MOUNT}/config`,
  token: `${MOUNT}/token`,
  s3: `${MOUNT}/s3`,
  s3Ca: `${MOUNT}/s3-ca`,
  redis: `${MOUNT}/redis`,
  redisCa: `${MOUNT}/redis-ca`,
  tmp: '/tmp',
} as const

/** Keys of the run's ConfigMap. */
export const configKeys = {
  jobManager: 'job-manager.json',
  taskManager: 'task-manager.json',
  module: 'job.ts',
  storageCa: 'storage-ca.crt',
  redisCa: 'redis-ca.crt',
} as const

export const TOKEN_KEY = 'token'

/** Key prefix of all files of a job in its bucket. */
export function storageRoot(prefix: string, namespace: string, name: string, uid: string): string {
  return [prefix, namespace, name, uid].filter((part) => part !== '').join('/')
}
