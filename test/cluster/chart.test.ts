import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parse, parseAllDocuments } from 'yaml'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseOperatorConfig } from '#operator/config'
import { Cluster } from '#tools/cluster/cluster'
import { CHART } from '../../scripts/cluster/install.ts'
import { BAD_MANIFESTS } from './bad-manifests.ts'

const EXAMPLES = fileURLToPath(new URL('../../examples', import.meta.url))
const NAMESPACE = 'weir-chart-test'
const VARIANTS: Readonly<Record<string, readonly string[]>> = {
  defaults: [],
  quickstart: ['quickstart.enabled=true', `quickstart.secretNamespace=${NAMESPACE}`],
  'quickstart with a volume': [
    'quickstart.enabled=true',
    'quickstart.s3.persistence.enabled=true',
    'quickstart.secretNamespace=',
  ],
  'namespaced mode': [`watchNamespaces={${NAMESPACE}}`, 'clusterId=test'],
  'own storage and Redis': [
    'defaults.storage.s3.bucket=streams',
    'defaults.storage.s3.credentialsSecret=streams-s3',
    'defaults.redis.url=rediss://redis.example.com:6379',
    'defaults.redis.credentialsSecret=streams-redis',
  ],
  'everything optional': [
    'networkPolicy.enabled=true',
    'operator.priorityClassName=system-cluster-critical',
    'operator.tolerations[0].operator=Exists',
    'operator.nodeSelector.disk=ssd',
    'imagePullSecrets[0].name=pull',
    `image.digest=sha256:${'0'.repeat(64)}`,
    'operator.podAnnotations.a=b',
    'serviceAccount.annotations.role=arn',
  ],
}

interface KubeObject {
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly annotations?: Readonly<Record<string, string>>
  }
  readonly [field: string]: unknown
}

describe('chart', () => {
  let cluster: Cluster

  beforeAll(async () => {
    cluster = await Cluster.up()
    await cluster.kubectl(['apply', '--server-side', '--force-conflicts', '-f', `${CHART}/crds`])
    await cluster.kubectl([
      'wait',
      '--for=condition=Established',
      'crd/streamjobs.weir.dev',
      'crd/savepoints.weir.dev',
      '--timeout=60s',
    ])
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' }
    await cluster.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE, labels } })
  })
  afterAll(async () => {
    await cluster?.tryKubectl(['delete', 'namespace', NAMESPACE, '--wait=false'])
  })

  async function render(values: readonly string[]): Promise<KubeObject[]> {
    const set = values.flatMap((value) => ['--set', value])
    const text = await cluster.helm([
      'template',
      'weir',
      CHART,
      '--namespace',
      NAMESPACE,
      '--kube-version',
      '1.34.0',
      ...set,
    ])
    return parseAllDocuments(text)
      .map((document) => document.toJS() as KubeObject | null)
      .filter((object) => object !== null)
  }

  test('helm lint finds nothing', async () => {
    expect(
      await cluster.helm([
        'lint',
        CHART,
        '--strict',
        '--kube-version',
        '1.34.0',
        '--set',
        'quickstart.enabled=true',
      ]),
    ).toContain('0 chart(s) failed')
  })

  for (const [name, values] of Object.entries(VARIANTS))
    test(`the API server accepts every object: ${name}`, async () => {
      const objects = await render(values)
      const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects })
      const result = await cluster.tryKubectl(
        ['apply', '--dry-run=server', '--server-side', '--validate=strict', '-f', '-'],
        { input },
      )
      expect(result.stderr).not.toContain('would violate PodSecurity')
      expect(result).toMatchObject({ code: 0 })
    })

  for (const [name, values] of Object.entries(VARIANTS))
    test(`the operator accepts its configuration: ${name}`, async () => {
      const map = (await render(values)).find((object) => object.kind === 'ConfigMap')
      const text = (map?.['data'] as Record<string, string>)['operator.json'] ?? ''
      expect(parseOperatorConfig(text, 'operator.json').defaults.image).not.toBe('')
    })

  test('namespaced mode makes no ClusterRoleBinding', async () => {
    const objects = await render([`watchNamespaces={${NAMESPACE},other}`, 'clusterId=test'])
    expect(objects.filter((object) => object.kind === 'ClusterRoleBinding')).toEqual([])
    const roles = objects
      .filter((object) => object.kind === 'RoleBinding')
      .map((object) => object.metadata.namespace)
    expect(roles.toSorted()).toEqual([NAMESPACE, NAMESPACE, 'other'].toSorted())
  })

  test('the operator may read Secrets by name only', async () => {
    const objects = await render(VARIANTS['own storage and Redis'] ?? [])
    const rules = objects
      .filter((object) => object.kind.endsWith('Role'))
      .flatMap(
        (object) => object['rules'] as { resources: string[]; verbs: string[]; resourceNames?: string[] }[],
      )
    // The answer to a patch is the whole object.
    const reading = rules.filter(
      (rule) =>
        rule.resources.includes('secrets') &&
        rule.verbs.some((verb) => ['get', 'list', 'watch', 'patch'].includes(verb)),
    )
    expect(reading.map((rule) => rule.resourceNames?.toSorted())).toEqual([
      ['streams-redis', 'streams-s3', 'weir-operator-token-key'],
    ])
  })

  test.each([
    ['operator.replicas=many', /operator\/replicas|operator\.replicas/],
    ['operatr.replicas=1', /operatr/],
    ['defaults.redis.url=redis://user:password@host', /redis/],
    ['logLevel=Loud', /logLevel/],
    ['watchNamespaces={Not A Name}', /watchNamespaces/],
  ])('values are checked: %s', async (value, says) => {
    await expect(render([value])).rejects.toThrow(says)
  })

  test.each(readdirSync(EXAMPLES).filter((name) => name.endsWith('.yaml')))(
    'example %s is accepted',
    async (name) => {
      const manifest = parse(readFileSync(`${EXAMPLES}/${name}`, 'utf8')) as KubeObject
      const input = JSON.stringify({ ...manifest, metadata: { ...manifest.metadata, namespace: NAMESPACE } })
      expect(
        await cluster.kubectl(['apply', '--dry-run=server', '--validate=strict', '-f', '-'], { input }),
      ).toContain('created')
    },
  )

  test.each(BAD_MANIFESTS)('refused with a sentence: $what', async ({ manifest, says }) => {
    const input = JSON.stringify({ ...manifest, metadata: { ...manifest.metadata, namespace: NAMESPACE } })
    const result = await cluster.tryKubectl(['apply', '--dry-run=server', '--validate=strict', '-f', '-'], {
      input,
    })
    expect(result.code).not.toBe(0)
    expect(result.stderr).toMatch(says)
  })
})

test('the README of the chart names every group of values', () => {
  const values = parse(readFileSync(`${CHART}/values.yaml`, 'utf8')) as Record<string, unknown>
  const readme = readFileSync(`${CHART}/README.md`, 'utf8')
  expect(Object.keys(values).filter((name) => !readme.includes(`\`${name}\``))).toEqual([])
})
