/**
 * What the API server refuses, in the words that a user needs. Pure. A refusal is an answer that
 * repeating the same request does not change: somebody has to change the object, a permission, a
 * policy or a quota first.
 */
import type { Reason } from '#operator/api/conditions'
import { KubeApiError } from './errors.ts'

export interface Refusal {
  readonly reason: Reason
  readonly message: string
  /** Waiting alone does not help. */
  readonly needsUser: boolean
  /** It is about the pods that a Deployment or ReplicaSet describes. */
  readonly isAboutPods: boolean
}

/**
 * Undefined for what is no refusal: no answer, an overloaded or failing server, a conflict with
 * another writer, an object of this operator's own kinds that has gone.
 */
export function refusalOf(error: unknown): Refusal | undefined {
  if (!(error instanceof KubeApiError) || !isRefusal(error) || isOwnGone(error)) return undefined
  const reason = reasonOf(error)
  return {
    reason,
    message: messageOfRefusal(error),
    needsUser: !PASSING.has(reason),
    isAboutPods: isAboutPods(error),
  }
}

function messageOfRefusal({ target, detail, message }: KubeApiError): string {
  if (target === undefined) return message
  const { kind, name = '' } = target
  return `The API server refuses ${kind} ${name}: ${detail}`
}

const isAboutPods = ({ target, causes, detail }: KubeApiError): boolean =>
  (target?.kind === 'Deployment' || target?.kind === 'ReplicaSet') &&
  (causes.some((c) => c.field.startsWith('spec.template')) || detail.includes('.spec.template.'))

const PASSING: ReadonlySet<Reason> = new Set(['QuotaExceeded', 'NamespaceTerminating'])

const isRefusal = (error: KubeApiError): boolean => error.retry === 'never' || isUntypable(error)

/**
 * Server-side apply answers 500 to fields that the kind does not have and to keys that a list has
 * twice (kubernetes/kubernetes#139253); its text is the only thing that tells it from a failure of
 * the server (apimachinery, pkg/util/managedfields/internal/structuredmerge.go).
 */
const isUntypable = ({ status, detail }: KubeApiError): boolean =>
  status === 500 && detail.includes('failed to create typed patch object')

const isOwnGone = ({ status, target }: KubeApiError): boolean =>
  status === 404 && (target?.kind === 'StreamJob' || target?.kind === 'Savepoint')

/**
 * Answers with 403 differ by their text only: the quota plugin (apiserver,
 * pkg/admission/plugin/resourcequota/controller.go) and the authorizer (pkg/endpoints/handlers/
 * responsewriters/errors.go) have no machine-readable cause. Whatever else says 403 is an admission
 * policy, which the message names.
 */
function reasonOf({ status, detail, causes }: KubeApiError): Reason {
  if (causes.some((c) => c.reason === 'NamespaceTerminating')) return 'NamespaceTerminating'
  if (status !== 403) return 'ObjectRefused'
  if (isQuota(detail)) return 'QuotaExceeded'
  return / is forbidden: User "/.test(detail) ? 'PermissionMissing' : 'ObjectRefused'
}

/** Text of the quota plugin, in an answer or in a condition of a workload. */
export const isQuota = (detail: string): boolean => /\b(exceeded|failed) quota: /.test(detail)
