import { expect, test } from 'vitest'
import { trim } from '#operator/kube/trim'
import type { KubeObject } from '#operator/resources/object'

const object = (kind: string, spec: object): KubeObject => ({
  apiVersion: 'v1',
  kind,
  metadata: {
    name: 'a',
    annotations: { note: 'b', 'kubectl.kubernetes.io/last-applied-configuration': '{}' },
    ...{ managedFields: [{}] },
  },
  spec,
  status: { phase: 'Running' },
})

test.each([
  ['Pod', { volumes: [], nodeName: 'n', containers: [] }, { volumes: [], nodeName: 'n' }],
  ['ReplicaSet', { replicas: 2, template: {} }, { replicas: 2 }],
  ['StreamJob', { job: {} }, { job: {} }],
])('trim() keeps of a %s what is decided from', (kind, spec, kept) => {
  expect(trim(object(kind, spec))).toEqual({
    apiVersion: 'v1',
    kind,
    metadata: { name: 'a', annotations: { note: 'b' } },
    spec: kept,
    status: { phase: 'Running' },
  })
})
