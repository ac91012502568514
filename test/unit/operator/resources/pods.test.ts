import { describe, expect, test } from 'vitest'
import { quantityToNumber } from '#operator/api/quantity'
import { heapLimitMb } from '#operator/resources/heap'
import { jobManagerDeployment } from '#operator/resources/job-manager'
import type { KubeObject } from '#operator/resources/object'
import { mergePodTemplate } from '#operator/resources/pod-template'
import { taskManagerReplicaSet } from '#operator/resources/task-manager'
import { defaults, runContext, spec } from '../fixtures.ts'

interface Container {
  name: string
  env: { name: string; value?: string }[]
  volumeMounts: { name: string; mountPath: string }[]
  [field: string]: unknown
}
interface PodSpec {
  containers: Container[]
  volumes: { name: string; [source: string]: unknown }[]
  [field: string]: unknown
}
const template = (object: KubeObject) =>
  (object['spec'] as { template: { metadata: { labels: object }; spec: PodSpec } }).template
const container = (object: KubeObject): Container => template(object).spec.containers[0]!

describe('jobManagerDeployment()', () => {
  test('is recreated, restricted, and reads its configuration from the run', () => {
    const object = jobManagerDeployment(runContext())
    expect(object).toMatchObject({
      kind: 'Deployment',
      metadata: {
        name: 'orders-jm',
        namespace: 'shop',
        labels: { 'weir.dev/run': '3' },
        ownerReferences: [{ kind: 'StreamJob', name: 'orders', controller: true }],
      },
      spec: {
        replicas: 1,
        strategy: { type: 'Recreate' },
        selector: { matchLabels: { 'weir.dev/job': 'orders', 'weir.dev/component': 'job-manager' } },
      },
    })
    expect(template(object).spec).toMatchObject({
      automountServiceAccountToken: false,
      serviceAccountName: 'orders-weir',
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    })
    expect(container(object)).toMatchObject({
      name: 'job-manager',
      image: 'weir:1',
      command: ['weir-job-manager'],
      securityContext: {
        readOnlyRootFilesystem: true,
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'] },
      },
      readinessProbe: { httpGet: { path: '/readyz' } },
    })
    expect(
      container(object)
        .env.slice(0, 3)
        .map((e) => e.name),
    ).toEqual(['WEIR_CONFIG', 'POD_NAME', 'POD_IP'])
    expect(template(object).spec.volumes).toContainEqual({
      name: 'weir-config',
      configMap: { name: 'orders-run-3-11111111' },
    })
    expect(template(object).spec.volumes).toContainEqual({
      name: 'weir-s3',
      secret: { secretName: 'orders-weir-s3-11111111' },
    })
  })

  test('is the same object for the same input', () => {
    expect(JSON.stringify(jobManagerDeployment(runContext()))).toBe(
      JSON.stringify(jobManagerDeployment(runContext())),
    )
  })

  test("mounts the job's own Secrets and authorities where it names them", () => {
    const own = spec({
      storage: {
        s3: { bucket: 'own', credentialsSecretRef: { name: 'keys' }, caConfigMapKeyRef: { name: 'ca' } },
      },
      redis: { url: 'rediss://r', credentialsSecretRef: { name: 'redis-keys' } },
    })
    const mounts = container(jobManagerDeployment(runContext({ spec: own }))).volumeMounts.map(
      (m) => m.mountPath,
    )
    expect(mounts).toEqual([
      '/etc/weir/config',
      '/etc/weir/token',
      '/etc/weir/s3',
      '/etc/weir/s3-ca',
      '/etc/weir/redis',
      '/tmp',
    ])
    expect(
      container(taskManagerReplicaSet(runContext({ spec: own }))).volumeMounts.map((m) => m.mountPath),
    ).not.toContain('/etc/weir/redis')
  })

  test('limits the heap below limits.memory unless the user sets NODE_OPTIONS', () => {
    const resources = { limits: { memory: '1Gi' } }
    const heap = (over: object) =>
      container(jobManagerDeployment(runContext({ spec: spec({ jobManager: { resources }, ...over }) })))
        .env.filter((e) => e.name === 'NODE_OPTIONS')
        .map((e) => e.value)
    expect(heap({})).toEqual(['--max-old-space-size=768'])
    expect(heap({ env: [{ name: 'NODE_OPTIONS', value: '--inspect' }] })).toEqual(['--inspect'])
  })

  test("a variable of the job replaces the operator's default of the same name", () => {
    const context = runContext({
      spec: spec({ env: [{ name: 'A', value: 'job' }] }),
      defaults: defaults({ env: [{ name: 'A', value: 'op' }] }),
    })
    expect(container(jobManagerDeployment(context)).env.filter((e) => e.name === 'A')).toEqual([
      { name: 'A', value: 'job' },
    ])
  })
})

describe('taskManagerReplicaSet()', () => {
  test('belongs to one run', () => {
    const object = taskManagerReplicaSet(
      runContext({ spec: spec({ taskManager: { replicas: 2, slots: 4 } }) }),
    )
    expect(object).toMatchObject({
      kind: 'ReplicaSet',
      metadata: { name: 'orders-tm-3' },
      spec: { replicas: 2, selector: { matchLabels: { 'weir.dev/run': '3' } } },
    })
    expect(container(object)).toMatchObject({
      name: 'task-manager',
      command: ['weir-task-manager'],
      ports: [{ name: 'data', containerPort: 6124 }],
    })
    expect(container(object).env[0]).toEqual({
      name: 'WEIR_CONFIG',
      value: '/etc/weir/config/task-manager.json',
    })
  })
})

test('a podTemplate of one component is merged over the one of the job', () => {
  const context = runContext({
    spec: spec({
      podTemplate: { spec: { nodeSelector: { disk: 'ssd', zone: 'a' } } },
      taskManager: { podTemplate: { spec: { nodeSelector: { zone: 'b' }, priorityClassName: 'low' } } },
    }),
  })
  expect(template(taskManagerReplicaSet(context)).spec).toMatchObject({
    nodeSelector: { disk: 'ssd', zone: 'b' },
    priorityClassName: 'low',
  })
  const jobManager = template(jobManagerDeployment(context)).spec
  expect(jobManager['nodeSelector']).toEqual({ disk: 'ssd', zone: 'a' })
  expect(jobManager).not.toHaveProperty('priorityClassName')
})

describe('mergePodTemplate()', () => {
  const base = {
    metadata: { labels: { 'weir.dev/job': 'orders' } },
    spec: { containers: [{ name: 'task-manager', image: 'a', env: [{ name: 'X', value: '1' }] }] },
  }

  test('merges containers and their variables by name, adds others, replaces plain lists', () => {
    const merged = mergePodTemplate(
      base,
      {
        metadata: { labels: { team: 'a', 'weir.dev/job': 'other' }, annotations: { note: 'b' } },
        spec: {
          nodeSelector: { disk: 'ssd' },
          tolerations: [{ key: 'k' }],
          containers: [
            {
              name: 'task-manager',
              env: [
                { name: 'X', value: '2' },
                { name: 'Y', value: '3' },
              ],
            },
            { name: 'job-manager', image: 'ignored' },
            { name: 'sidecar', image: 's' },
          ],
        },
      },
      'task-manager',
    )
    expect(merged).toEqual({
      metadata: { labels: { team: 'a', 'weir.dev/job': 'orders' }, annotations: { note: 'b' } },
      spec: {
        nodeSelector: { disk: 'ssd' },
        tolerations: [{ key: 'k' }],
        containers: [
          {
            name: 'task-manager',
            image: 'a',
            env: [
              { name: 'X', value: '2' },
              { name: 'Y', value: '3' },
            ],
          },
          { name: 'sidecar', image: 's' },
        ],
      },
    })
  })

  const merged = (base: object, over: object) =>
    mergePodTemplate(
      { metadata: { labels: {} }, spec: { containers: [{ name: 'task-manager', ...base }] } },
      { spec: { containers: [{ name: 'task-manager', ...over }] } },
      'task-manager',
    ).spec['containers'] as unknown[]

  test('what excludes each other is never both there: the value of a variable and its source', () => {
    const env = [{ name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }]
    const over = [{ name: 'POD_NAME', value: 'own' }]
    expect(merged({ env }, { env: over })).toEqual([{ name: 'task-manager', env: over }])
    expect(merged({ env: over }, { env })).toEqual([{ name: 'task-manager', env }])
  })

  test('what excludes each other is never both there: two handlers of a probe', () => {
    const base = { readinessProbe: { tcpSocket: { port: 'data' }, periodSeconds: 5 } }
    const over = { readinessProbe: { exec: { command: ['true'] } } }
    expect(merged(base, over)).toEqual([
      { name: 'task-manager', readinessProbe: { exec: { command: ['true'] }, periodSeconds: 5 } },
    ])
  })

  test('a variable that a template names twice is there once, as it was said last', () => {
    const env = [
      { name: 'A', value: '1' },
      { name: 'A', value: '2' },
    ]
    expect(merged({ env: [] }, { env })).toEqual([{ name: 'task-manager', env: [{ name: 'A', value: '2' }] }])
  })

  test('a volume has one source, the one of the template', () => {
    const volumes = (over: object) =>
      mergePodTemplate(
        {
          metadata: { labels: {} },
          spec: {
            volumes: [
              { name: 'tmp', emptyDir: {} },
              { name: 'c', configMap: { name: 'run' } },
            ],
          },
        },
        { spec: { volumes: [over as { name: string }] } },
        'task-manager',
      ).spec['volumes']
    expect(volumes({ name: 'tmp', ephemeral: {} })).toEqual([
      { name: 'tmp', ephemeral: {} },
      { name: 'c', configMap: { name: 'run' } },
    ])
    expect(volumes({ name: 'c', configMap: { defaultMode: 256 } })).toEqual([
      { name: 'tmp', emptyDir: {} },
      { name: 'c', configMap: { name: 'run', defaultMode: 256 } },
    ])
  })

  test('leaves the base alone without a template', () => {
    expect(mergePodTemplate(base, undefined, 'task-manager')).toBe(base)
  })
})

describe('heapLimitMb()', () => {
  test.each([
    ['1Gi', 1, 768],
    ['4Gi', 4, 768],
    ['1G', 1, 715],
    [1_073_741_824, 1, 768],
    ['16Mi', 1, 32],
    [undefined, 1, undefined],
  ])('%s for %i threads is %s', (limit, threads, expected) =>
    expect(heapLimitMb(limit, threads)).toBe(expected),
  )

  test('quantities', () => {
    expect(['500m', '2k', '1.5', '1e3', 'x'].map(quantityToNumber)).toEqual([0.5, 2000, 1.5, 1000, undefined])
  })
})
