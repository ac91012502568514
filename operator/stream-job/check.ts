/** Pods that check a run before the one under way is stopped for it (policies/check-run.ts). */
import { CHECK_CONTAINER } from '#operator/resources/job-manager'
import { LABEL_CHECK } from '#operator/resources/labels'
import type { KubeObject } from '#operator/resources/object'
import { findPodProblem, type PodProblem } from './pod-problems.ts'

/** runtime/bin/check.ts ends with it when the run would fail. */
const REFUSED = 2

export type CheckResult =
  | { readonly kind: 'awaited'; readonly problem: PodProblem | undefined }
  | { readonly kind: 'passed' }
  | { readonly kind: 'refused'; readonly message: string }
  /** It ended, and does not know. */
  | { readonly kind: 'unknown'; readonly message: string }

export interface Check {
  /** What it is about (resources/spec-hash.ts). */
  readonly id: string
  readonly pod: string
  readonly uid: string
  readonly result: CheckResult
}

interface Ended {
  readonly exitCode: number
  readonly message?: string
}

const isCheck = (pod: KubeObject): boolean => pod.metadata.labels?.[LABEL_CHECK] !== undefined

export function checksOf(pods: readonly KubeObject[], now: number): readonly Check[] {
  return pods.filter(isCheck).map((pod) => ({
    id: pod.metadata.labels?.[LABEL_CHECK] ?? '',
    pod: pod.metadata.name,
    uid: pod.metadata.uid ?? '',
    result: resultOf(pod, now),
  }))
}

function resultOf(pod: KubeObject, now: number): CheckResult {
  const ended = endOf(pod)
  if (ended === undefined) {
    const { phase, message, reason } = (pod['status'] ?? {}) as Readonly<Record<string, string>>
    if (phase === 'Failed') return { kind: 'unknown', message: message ?? reason ?? 'its pod failed' }
    return { kind: 'awaited', problem: findPodProblem([pod], [], now) }
  }
  const said = (ended.message ?? '').trim()
  if (ended.exitCode === 0) return { kind: 'passed' }
  if (ended.exitCode === REFUSED) return { kind: 'refused', message: said.replace(/^weir-check: /, '') }
  const message = `code ${ended.exitCode}${said === '' ? '' : `: ${said.slice(-400)}`}`
  return { kind: 'unknown', message: `it ended with ${message}` }
}

function endOf(pod: KubeObject): Ended | undefined {
  const { containerStatuses = [] } = (pod['status'] ?? {}) as {
    readonly containerStatuses?: readonly {
      readonly name: string
      readonly state?: { readonly terminated?: Ended }
    }[]
  }
  return containerStatuses.find(({ name }) => name === CHECK_CONTAINER)?.state?.terminated
}
