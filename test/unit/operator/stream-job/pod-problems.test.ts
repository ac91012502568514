import { describe, expect, test } from 'vitest'
import type { KubeObject } from '#operator/resources/object'
import { findPodProblem } from '#operator/stream-job/pod-problems'

const NOW = Date.parse('2030-01-01T00:10:00Z')

const pod = (status: object): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p' },
  status,
})
const container = (status: object): KubeObject => pod({ containerStatuses: [{ name: 'c', ...status }] })

test.each([
  [
    'ImagePullFailed',
    container({ state: { waiting: { reason: 'ImagePullBackOff', message: 'not found' } } }),
  ],
  [
    'ContainerConfigInvalid',
    container({
      state: { waiting: { reason: 'CreateContainerConfigError', message: 'secret "s3" not found' } },
    }),
  ],
  [
    'ContainerFailing',
    container({
      restartCount: 3,
      state: { waiting: { reason: 'CrashLoopBackOff' } },
      lastState: { terminated: { exitCode: 2, message: 'bad config' } },
    }),
  ],
  [
    'OutOfMemory',
    container({
      restartCount: 1,
      state: { running: {} },
      lastState: { terminated: { reason: 'OOMKilled', exitCode: 137 } },
    }),
  ],
  [
    'Unschedulable',
    pod({
      conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/1 nodes' }],
    }),
  ],
])('%s is found', (reason, object) => {
  expect(findPodProblem([object], [], NOW)?.reason).toBe(reason)
})

test('the message has what the container said', () => {
  const failing = container({ state: { terminated: { exitCode: 2, message: 'WEIR_CONFIG is wrong' } } })
  expect(findPodProblem([failing], [], NOW)?.message).toContain(
    'ended with code 2 (0 restarts): WEIR_CONFIG is wrong',
  )
})

test('a refusal of new pods comes first, healthy and deleted pods are no problem', () => {
  const set = (message: string): KubeObject => ({
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: { name: 'r' },
    status: { conditions: [{ type: 'ReplicaFailure', status: 'True', message }] },
  })
  const pulling = container({ state: { waiting: { reason: 'ErrImagePull' } } })
  const reasonFor = (message: string) => findPodProblem([pulling], [set(message)], NOW)?.reason
  expect(reasonFor('pods "r-1" is forbidden: exceeded quota: team, requested: pods=1')).toBe('QuotaExceeded')
  expect(reasonFor('pods "r-1" is forbidden: violates PodSecurity "restricted:latest"')).toBe('ObjectRefused')
  expect(
    findPodProblem(
      [container({ state: { running: {} } }), container({ state: { terminated: { exitCode: 0 } } })],
      [],
      NOW,
    ),
  ).toBeUndefined()
})

describe('a pod whose volumes do not come', () => {
  const waiting = (since: string, phase = 'Pending'): KubeObject => ({
    ...pod({
      phase,
      conditions: [
        { type: 'PodScheduled', status: 'True' },
        { type: 'PodReadyToStartContainers', status: 'False', lastTransitionTime: since },
      ],
      containerStatuses: [{ name: 'c', state: { waiting: { reason: 'ContainerCreating' } } }],
    }),
    spec: {
      volumes: [
        { name: 'weir-config', configMap: { name: 'orders-run-3' } },
        { name: 'weir-s3', secret: { secretName: 'keys' } },
        { name: 'rules', configMap: { name: 'rules' } },
        { name: 'maybe', secret: { secretName: 'maybe', optional: true } },
        { name: 'all', projected: { sources: [{ secret: { name: 'tls' } }] } },
        { name: 'tmp', emptyDir: {} },
      ],
    },
  })

  test('is said to wait after a minute, with what it mounts', () => {
    const problem = findPodProblem([waiting('2030-01-01T00:09:00Z')], [], NOW)
    expect(problem?.reason).toBe('MountFailed')
    expect(problem?.message).toContain('It mounts Secret keys, ConfigMap rules, Secret tls: do they exist?')
  })

  test('is no problem before, nor when it has ended', () => {
    expect(findPodProblem([waiting('2030-01-01T00:09:01Z')], [], NOW)).toBeUndefined()
    expect(findPodProblem([waiting('2030-01-01T00:00:00Z', 'Succeeded')], [], NOW)).toBeUndefined()
  })
})
