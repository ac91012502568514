/**
 * The part of a pod that JobManagers and TaskManagers have in common, restricted as Pod Security
 * Standards ask.
 */
import type { PodTemplate } from '#operator/api/v1alpha1/pods'
import type { StreamJobSpec } from '#operator/api/v1alpha1/stream-job'
import { heapLimitMb } from './heap.ts'
import { podLabels, type Component } from './labels.ts'
import { mounts, names, TOKEN_KEY } from './names.ts'
import { mergePodTemplate, type PodTemplateSpec } from './pod-template.ts'
import { type CaSource, caOf } from './resolved.ts'
import type { RunContext } from './run-context.ts'

/** What differs between the two. */
export interface PodParts {
  readonly component: Component
  readonly command: string
  readonly configKey: string
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[]
  readonly probes: Readonly<Record<string, unknown>>
  readonly resources: StreamJobSpec['jobManager']['resources']
  /** Of this component only; merged over the one of the job. */
  readonly podTemplate: PodTemplate | undefined
  /** Threads that share the heap. */
  readonly threads: number
  readonly terminationGracePeriodSeconds: number
}

interface Volume {
  readonly name: string
  readonly [source: string]: unknown
}
interface Mounted {
  readonly volume: Volume
  readonly mountPath: string
  readonly readOnly: boolean
}

export function podTemplateSpec(context: RunContext, parts: PodParts): PodTemplateSpec {
  const { job, spec, defaults } = context
  const mounted = mountedVolumes(context, parts.component)
  const pullSecrets = spec.imagePullSecrets ?? defaults.imagePullSecrets
  const base: PodTemplateSpec = {
    metadata: { labels: podLabels(job.name, parts.component, context.run) },
    spec: {
      serviceAccountName: spec.serviceAccountName ?? names.serviceAccount(job.name),
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: parts.terminationGracePeriodSeconds,
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      ...(pullSecrets.length > 0 ? { imagePullSecrets: pullSecrets } : {}),
      topologySpreadConstraints: [
        {
          maxSkew: 1,
          topologyKey: 'kubernetes.io/hostname',
          whenUnsatisfiable: 'ScheduleAnyway',
          labelSelector: { matchLabels: podLabels(job.name, parts.component, context.run) },
        },
      ],
      volumes: mounted.map((m) => m.volume),
      containers: [
        {
          name: parts.component,
          image: context.image,
          imagePullPolicy: spec.imagePullPolicy,
          command: [parts.command],
          env: environment(context, parts),
          ...(spec.envFrom === undefined ? {} : { envFrom: spec.envFrom }),
          ports: parts.ports.map((p) => ({ ...p, protocol: 'TCP' })),
          ...parts.probes,
          ...(parts.resources === undefined ? {} : { resources: parts.resources }),
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          },
          terminationMessagePolicy: 'FallbackToLogsOnError',
          volumeMounts: mounted.map((m) => ({
            name: m.volume.name,
            mountPath: m.mountPath,
            ...(m.readOnly ? { readOnly: true } : {}),
          })),
        },
      ],
    },
  }
  const shared = mergePodTemplate(base, spec.podTemplate, parts.component)
  return mergePodTemplate(shared, parts.podTemplate, parts.component)
}

function environment(context: RunContext, parts: PodParts): readonly object[] {
  const own = context.spec.env ?? []
  const shared = context.defaults.env.filter((d) => !own.some((o) => o.name === d.name))
  const heap = heapLimitMb(parts.resources?.limits?.['memory'], parts.threads)
  const setsNodeOptions = [...own, ...shared].some((e) => e.name === 'NODE_OPTIONS')
  return [
    { name: 'WEIR_CONFIG', value: `${mounts.config}/${parts.configKey}` },
    { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
    { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
    ...(heap === undefined || setsNodeOptions
      ? []
      : [{ name: 'NODE_OPTIONS', value: `--max-old-space-size=${heap}` }]),
    ...shared,
    ...own,
  ]
}

function mountedVolumes(context: RunContext, component: Component): readonly Mounted[] {
  const { resolved } = context
  const { storage } = resolved
  const redis = component === 'job-manager' ? resolved.redis : undefined
  return [
    configMap('weir-config', context.config, mounts.config),
    secret('weir-token', context.tokenSecret, mounts.token, [TOKEN_KEY]),
    ...(storage.credentialsSecret === undefined
      ? []
      : [secret('weir-s3', storage.credentialsSecret, mounts.s3)]),
    ...authority('weir-s3-ca', caOf(storage), mounts.s3Ca),
    ...(redis?.credentialsSecret === undefined
      ? []
      : [secret('weir-redis', redis.credentialsSecret, mounts.redis)]),
    ...authority('weir-redis-ca', caOf(redis), mounts.redisCa),
    { volume: { name: 'tmp', emptyDir: {} }, mountPath: mounts.tmp, readOnly: false },
  ]
}

function configMap(name: string, configMapName: string, mountPath: string): Mounted {
  return { volume: { name, configMap: { name: configMapName } }, mountPath, readOnly: true }
}

function secret(name: string, secretName: string, mountPath: string, keys?: readonly string[]): Mounted {
  const items = keys === undefined ? {} : { items: keys.map((key) => ({ key, path: key })) }
  return { volume: { name, secret: { secretName, ...items } }, mountPath, readOnly: true }
}

function authority(name: string, ca: CaSource | undefined, mountPath: string): readonly Mounted[] {
  if (ca?.kind !== 'configMap') return []
  return [
    {
      volume: { name, configMap: { name: ca.name, items: [{ key: ca.key, path: 'ca.crt' }] } },
      mountPath,
      readOnly: true,
    },
  ]
}
