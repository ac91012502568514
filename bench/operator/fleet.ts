/** Many jobs on the tests' own API server, with the objects that Kubernetes would make for them. */
import { streamJobSpec } from '#operator/api/v1alpha1/stream-job'
import type { TestApiServer } from '#test/kit/kube-api-server'
import { addressOf } from './job-managers.ts'

const TASK_MANAGERS = 3
const NOW = new Date().toISOString()

export const setOf = (index: number): string => `/apis/apps/v1/namespaces/shop/replicasets/job-${index}-tm-1`
const pathOf = (index: number) => `/apis/weir.dev/v1alpha1/namespaces/shop/streamjobs/job-${index}`
/** Twenty lines of code, as an inline job has. */
const CODE = `// ${'x'.repeat(78)}\n`.repeat(20)

export function prepare(api: TestApiServer): void {
  const kubeSystem = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'kube-system' } }
  api.put('/api/v1/namespaces/kube-system', kubeSystem)
  api.put('/api/v1/namespaces/weir/secrets/s3-root', {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 's3-root', namespace: 'weir' },
    data: { AWS_ACCESS_KEY_ID: 'YQ==', AWS_SECRET_ACCESS_KEY: 'YQ==' },
  })
}

export function submit(api: TestApiServer, index: number, taskManagers = TASK_MANAGERS): void {
  const path = pathOf(index)
  const existing = api.objects.get(path)
  const generation = taskManagers === TASK_MANAGERS ? 1 : 2
  const metadata = { ...existing?.metadata, name: `job-${index}`, namespace: 'shop', generation }
  const spec = streamJobSpec.parse({
    job: { inline: CODE },
    parallelism: TASK_MANAGERS,
    jobManager: { replicas: 2 },
    taskManager: { replicas: taskManagers },
  })
  api.put(path, { apiVersion: 'weir.dev/v1alpha1', kind: 'StreamJob', ...existing, metadata, spec })
}

export const uidOf = (api: TestApiServer, index: number): string =>
  api.objects.get(pathOf(index))?.metadata['uid'] as string

export const isRunning = (api: TestApiServer, index: number): boolean =>
  (api.objects.get(pathOf(index))?.['status'] as { phase?: string } | undefined)?.phase === 'Running'

/** What the controllers of Kubernetes and its kubelets make of the workloads of a job. */
export function makePods(api: TestApiServer, index: number): void {
  const deployment = api.objects.get(`/apis/apps/v1/namespaces/shop/deployments/job-${index}-jm`)
  const replicaSet = api.objects.get(setOf(index))
  for (const isLeader of [true, false])
    putPod(api, {
      name: `job-${index}-jm-${isLeader ? 0 : 1}`,
      of: deployment,
      ip: addressOf(index, isLeader),
    })
  for (let n = 0; n < TASK_MANAGERS; n++)
    putPod(api, {
      name: `job-${index}-tm-1-${n}`,
      of: replicaSet,
      ip: `10.${index >> 8}.${index & 255}.${n}`,
    })
}

type Stored = ReturnType<TestApiServer['put']>
interface Template {
  readonly spec?: { readonly template?: { readonly metadata?: object; readonly spec?: object } }
}

function putPod(
  api: TestApiServer,
  { name, of, ip }: { readonly name: string; readonly of: Stored | undefined; readonly ip: string },
): void {
  const template = (of as Template | undefined)?.spec?.template
  const conditions = ['PodReadyToStartContainers', 'Initialized', 'Ready', 'ContainersReady', 'PodScheduled']
  api.put(`/api/v1/namespaces/shop/pods/${name}`, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...template?.metadata, name, namespace: 'shop' },
    spec: { ...template?.spec, nodeName: 'node-1' },
    status: {
      phase: 'Running',
      podIP: ip,
      podIPs: [{ ip }],
      hostIP: '10.255.0.1',
      qosClass: 'Burstable',
      startTime: NOW,
      conditions: conditions.map((type) => ({ type, status: 'True', lastTransitionTime: NOW })),
      containerStatuses: [
        {
          name: 'container',
          ready: true,
          started: true,
          restartCount: 0,
          image: 'registry.example.com/weir:0.1.0',
          imageID: `registry.example.com/weir@sha256:${'a'.repeat(64)}`,
          containerID: `containerd://${'b'.repeat(64)}`,
          state: { running: { startedAt: NOW } },
        },
      ],
    },
  })
}
