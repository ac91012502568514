import type { PolicyRule } from '#operator/api/rbac'
import type { SeenRequest } from '#test/kit/kube-api-server'

const VERBS: Readonly<Record<string, string>> = {
  POST: 'create',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
}

/**
 * The rights that a request needs, as `group/resource verb`; what a rule gives reads the same. An
 * apply may create what it applies.
 */
export function rightsOf({ method, path, query }: SeenRequest): string[] {
  const [, root, ...rest] = path.split('/')
  const [group, ...parts] = root === 'api' ? ['', ...rest.slice(1)] : [rest[0] ?? '', ...rest.slice(2)]
  const [resource = '', name, subresource] = parts[0] === 'namespaces' && parts[2] ? parts.slice(2) : parts
  const what = `${group}/${subresource === undefined ? resource : `${resource}/${subresource}`}`
  const verbs = method === 'GET' ? [readVerb(name, query)] : [VERBS[method] ?? method]
  if (query.get('force') === 'true') verbs.push('create')
  return verbs.map((verb) => `${what} ${verb}`)
}

const readVerb = (name: string | undefined, query: URLSearchParams): string => {
  if (name !== undefined) return 'get'
  return query.has('watch') ? 'watch' : 'list'
}

export const rightsIn = (rules: readonly PolicyRule[]): ReadonlySet<string> =>
  new Set(
    rules.flatMap(({ apiGroups, resources, verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) => verbs.map((verb) => `${group}/${resource} ${verb}`)),
      ),
    ),
  )
