import type { JobFacts, OperationView } from '#runtime/contract/rest'
import type { Check } from '#operator/stream-job/check'
import { checkId } from '#operator/resources/spec-hash'
import { compact, type Loose } from '#operator/api/compact'
import type { RunStatus, StreamJobStatus } from '#operator/api/v1alpha1/stream-job-status'
import { NOTHING_KNOWN } from '#operator/job-managers/facts-view'
import type { Observed } from '#operator/stream-job/observed'
import { defaults, JOB, resolved, spec } from '../fixtures.ts'

/** A running job in run 3, and modifiers that say what is different. */
export const NOW = Date.parse('2030-01-01T00:10:00.000Z')
export type Modifier = (o: Observed) => Observed

export const facts = (over: Partial<JobFacts> = {}): JobFacts => ({
  version: '0.1.0',
  job: { namespace: JOB.namespace, name: JOB.name, uid: JOB.uid },
  run: 3,
  leading: true,
  leader: 'orders-jm-a',
  epoch: 7,
  attempt: '7.1',
  state: 'Running',
  stateSince: NOW,
  message: 'all tasks run',
  waits: [],
  error: undefined,
  restarts: 0,
  parallelism: 2,
  slots: { free: 0, total: 2, wanted: 2 },
  taskManagers: 2,
  planHash: 'p',
  guarantee: 'exactly-once',
  storagePath: 's3://shared/weir/shop/orders/uid',
  restoredFrom: undefined,
  records: { in: 1, out: 1, perSecond: 1, outPerSecond: 0 },
  watermark: null,
  skipped: { lateDropped: 0, badRecords: 0, skippedCommits: 0, leftPending: 0 },
  checkpoint: {
    phase: 'IDLE',
    inProgress: undefined,
    completed: 1,
    failed: 0,
    consecutiveFailures: 0,
    last: undefined,
    lastFailure: undefined,
  },
  operations: [],
  recoveries: [],
  ...over,
})

const RUN: RunStatus = {
  specHash: 'h1',
  generation: 1,
  taskManagers: 1,
  startedAt: '2030-01-01T00:09:00.000Z',
}

export const RESOLVED = resolved({ spec: spec(), defaults: defaults() })

const desired = (
  specHash: string,
  over: Partial<Extract<Observed['desired'], { kind: 'ready' }>> = {},
): Observed['desired'] => ({
  kind: 'ready',
  specHash,
  unscaledHash: specHash,
  module: { kind: 'source', source: 'x' },
  restore: undefined,
  resolved: RESOLVED,
  ...over,
})

export function observed(...modifiers: readonly Modifier[]): Observed {
  const base: Observed = {
    object: {
      apiVersion: 'weir.dev/v1alpha1',
      kind: 'StreamJob',
      metadata: { ...JOB, generation: 1 },
      spec: {},
    },
    job: JOB,
    generation: 1,
    now: NOW,
    spec: spec(),
    status: {
      observedGeneration: 1,
      phase: 'Running',
      runId: '3',
      run: RUN,
      image: 'weir:1',
      resolved: RESOLVED,
    },
    desired: desired('h1'),
    scaleLimit: undefined,
    restartedAt: undefined,
    reconcile: undefined,
    restoreHash: undefined,
    restoreSource: undefined,
    facts: {
      facts: facts(),
      leader: { pod: 'orders-jm-a', address: { url: 'http://10.0.0.1:8081', token: 't' } },
      obstacle: undefined,
      unreachable: [],
      hasAnswered: true,
      leaderlessMs: 0,
    },
    jobManager: { name: 'orders-jm', uid: 'd', run: 3, replicas: 1 },
    taskManagers: [{ name: 'orders-tm-3', uid: 'r3', run: 3, replicas: 1 }],
    isTokenLost: false,
    jobManagerPods: [{ name: 'orders-jm-a', isLeader: true, hasAddress: true, readySince: 0 }],
    taskManagerPodCount: 1,
    podProblem: undefined,
    checks: [],
    defaultImage: 'weir:1',
    resolved: RESOLVED,
    drifts: [],
    storageUrl: 's3://shared/weir/shop/orders/uid',
    lastSavepoint: undefined,
  }
  return modifiers.reduce((o, modify) => modify(o), base)
}

export const withSpec =
  (over: object, generation = 2): Modifier =>
  (o) => ({ ...o, spec: spec(over), generation })
/** Another spec whose run was checked and can begin. */
export const withHash =
  (specHash: string): Modifier =>
  (o) =>
    withCheck({ kind: 'passed' })(withUncheckedHash(specHash)(o))
export const withUncheckedHash =
  (specHash: string): Modifier =>
  (o) => ({ ...o, desired: desired(specHash) })
/** A check of what is desired. */
export const withCheck =
  (result: Check['result']): Modifier =>
  (o) => {
    const { desired: it } = o
    const about = it.kind === 'ready' ? [it.specHash, it.restore?.hash] : []
    const id = checkId([JOB.uid, ...about, o.restartedAt])
    return { ...o, checks: [{ id, pod: `orders-check-${id}`, uid: 'c', result }] }
  }
export const withStatus =
  (status: Loose<Partial<StreamJobStatus>>): Modifier =>
  (o) => ({ ...o, status: compact({ ...o.status, ...status }) })
export const withRun =
  (run: Partial<RunStatus>): Modifier =>
  (o) => ({ ...o, status: { ...o.status, run: { ...RUN, ...run } } })
export const withFacts =
  (over: Partial<JobFacts>): Modifier =>
  (o) => ({ ...o, facts: { ...o.facts, facts: facts(over) } })
export const withOperation = (operation: Partial<OperationView>): Modifier =>
  withFacts({
    state: 'Stopping',
    operations: [{ triggerId: 'x', type: 'stop', status: 'InProgress', startedAt: NOW, ...operation }],
  })
export const withoutLeader =
  (leaderlessMs: number): Modifier =>
  (o) => ({ ...o, facts: { ...NOTHING_KNOWN, hasAnswered: true, leaderlessMs } })
/** The leader lives, and the operator cannot reach it. */
export const unreachable =
  (leaderlessMs: number): Modifier =>
  (o) => {
    const gone = { pod: 'orders-jm-gone', message: 'ECONNREFUSED', forMs: 90_000 }
    const lost = { pod: 'orders-jm-a', message: 'failed with 401', forMs: leaderlessMs }
    return { ...o, facts: { ...NOTHING_KNOWN, unreachable: [gone, lost], leaderlessMs } }
  }
export const withoutPods: Modifier = (o) => ({
  ...withoutLeader(0)(o),
  jobManagerPods: [],
  taskManagerPodCount: 0,
})
export const withoutWorkloads: Modifier = (o) => ({
  ...withoutPods(o),
  jobManager: undefined,
  taskManagers: [],
})
export const neverRan: Modifier = (o) => ({
  ...withoutWorkloads(o),
  status: {},
  resolved: undefined,
  storageUrl: undefined,
})
/** Another number of TaskManagers than the run has, with `parallelism` unset. */
export const scaled =
  (replicas: number): Modifier =>
  (o) => ({
    ...withSpec({ taskManager: { replicas } })(o),
    desired: desired(`scaled-${replicas}`, { unscaledHash: 'h1' }),
  })
export const annotated =
  (over: Partial<Pick<Observed, 'restartedAt' | 'reconcile'>>): Modifier =>
  (o) => ({ ...o, ...over })
export const blocked =
  (specHash: string | undefined): Modifier =>
  (o) => ({
    ...o,
    desired: {
      kind: 'blocked',
      specHash,
      unscaledHash: specHash,
      blocker: { reason: 'StorageMissing', message: 'no storage', needsUser: true },
    },
  })
export const withRestore =
  (hash: string, path?: string): Modifier =>
  (o) => ({
    ...o,
    restoreHash: hash,
    desired: desired('h1', {
      restore: { hash, allowNonRestoredState: false, ...(path === undefined ? {} : { path }) },
    }),
  })
export const withSource =
  (source: NonNullable<Observed['restoreSource']>): Modifier =>
  (o) => ({ ...o, restoreSource: source })
