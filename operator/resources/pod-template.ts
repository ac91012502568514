/**
 * Merges the user's podTemplate over what the operator builds. Maps merge by key; containers,
 * initContainers, volumes and env merge by `name`, volumeMounts by `mountPath`; every other list is
 * replaced. Of members that exclude each other, such as the sources of a volume, only those of the
 * user stay. Labels of weir.dev and app.kubernetes.io stay as they are, because selectors depend on
 * them.
 */
import type { PodTemplate } from '#operator/api/v1alpha1/pods'
import type { Component } from './labels.ts'

export interface PodTemplateSpec {
  readonly metadata: {
    readonly labels: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
  }
  readonly spec: { readonly [field: string]: unknown }
}

type Json = { readonly [key: string]: unknown }
const MERGE_KEYS: Readonly<Record<string, string>> = {
  containers: 'name',
  initContainers: 'name',
  volumes: 'name',
  env: 'name',
  volumeMounts: 'mountPath',
}
/** Members of which the API server accepts one. */
const EXCLUSIVE: readonly (readonly string[])[] = [
  ['value', 'valueFrom'],
  ['httpGet', 'tcpSocket', 'exec', 'grpc'],
]
const COMPONENTS: readonly string[] = ['job-manager', 'task-manager'] satisfies Component[]

export function mergePodTemplate(
  base: PodTemplateSpec,
  template: PodTemplate | undefined,
  component: Component,
): PodTemplateSpec {
  if (template === undefined) return base
  const annotations = { ...base.metadata.annotations, ...template.metadata?.annotations }
  // A container named after the other component is a change to its pods only.
  const containers = (template.spec?.containers ?? []).filter(
    (c) => c.name === component || !COMPONENTS.includes(c.name),
  )
  return {
    metadata: {
      labels: { ...userLabels(template.metadata?.labels), ...base.metadata.labels },
      ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
    },
    spec: merge(base.spec, { ...template.spec, containers }),
  }
}

function userLabels(labels: Readonly<Record<string, string>> = {}): Record<string, string> {
  return Object.fromEntries(
    Object.entries(labels).filter(([key]) => !/^(weir\.dev|app\.kubernetes\.io)\//.test(key)),
  )
}

function merge(base: Json, over: Json): Json {
  const out: Record<string, unknown> = withoutRivals(base, over)
  for (const [key, value] of Object.entries(over)) {
    const existing = out[key]
    if (isObject(existing) && isObject(value)) out[key] = merge(existing, value)
    else if (key in MERGE_KEYS && Array.isArray(existing) && Array.isArray(value))
      out[key] = mergeList(key, existing, value)
    else out[key] = value
  }
  return out
}

function mergeList(name: string, base: readonly unknown[], over: readonly unknown[]): unknown[] {
  const key = MERGE_KEYS[name] ?? 'name'
  const out = [...base]
  for (const item of over) {
    const index = out.findIndex(
      (existing) => isObject(existing) && isObject(item) && existing[key] === item[key],
    )
    if (index < 0) out.push(item)
    else if (name === 'volumes') out[index] = mergeVolume(out[index] as Json, item as Json)
    else out[index] = merge(out[index] as Json, item as Json)
  }
  return out
}

/** Every member of a volume but its name is a source, and it has one. */
function mergeVolume(base: Json, over: Json): Json {
  const sources = Object.keys(over).filter((key) => key !== 'name')
  if (sources.length === 0) return base
  return merge(Object.fromEntries(Object.entries(base).filter(([key]) => key in over)), over)
}

/** Without the members that exclude one of `over`. */
function withoutRivals(base: Json, over: Json): Record<string, unknown> {
  const rivals = EXCLUSIVE.filter((keys) => keys.some((key) => key in over)).flat()
  return Object.fromEntries(Object.entries(base).filter(([key]) => key in over || !rivals.includes(key)))
}

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
