import { parse } from 'yaml'

interface Schema {
  readonly type?: string
  readonly description?: string
  readonly default?: unknown
  readonly enum?: readonly unknown[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly items?: Schema
  readonly additionalProperties?: Schema | boolean
  readonly 'x-kubernetes-validations'?: readonly { readonly message?: string }[]
  readonly 'x-kubernetes-int-or-string'?: boolean
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean
}
interface Crd {
  readonly spec: {
    readonly names: { readonly kind: string; readonly shortNames?: readonly string[] }
    readonly versions: readonly {
      readonly name: string
      readonly schema: { readonly openAPIV3Schema: Schema }
    }[]
  }
}

/**
 * A page for people of everything that a custom resource may hold, from its generated definition.
 */
export function crdReference(yaml: string): string {
  const { spec } = parse(yaml) as Crd
  const [version] = spec.versions
  const { kind, shortNames = [] } = spec.names
  const schema = version?.schema.openAPIV3Schema
  const part = (name: 'spec' | 'status') => {
    const own = schema?.properties?.[name]
    return own === undefined ? [] : [`## ${name}`, '', ...table(own), ...rules(own)]
  }
  return [
    `# ${kind}`,
    '',
    `\`weir.dev/${version?.name}\`, short name \`${shortNames.join('`, `')}\`. ` +
      'Made from the schema by `npm run gen`; ' +
      `\`kubectl explain ${kind.toLowerCase()}.spec\` says the same.`,
    '',
    ...part('spec'),
    ...part('status'),
  ].join('\n')
}

function table(schema: Schema): string[] {
  const rows = fieldsOf(schema, '', new Set(schema.required)).map(({ path, field, isRequired }) => {
    const value = isRequired ? 'required' : defaultOf(field)
    return `| \`${path}\` | ${typeOf(field)} | ${value} | ${cell(field.description ?? '')} |`
  })
  return ['| field | type | default | meaning |', '| --- | --- | --- | --- |', ...rows, '']
}

interface Field {
  readonly path: string
  readonly field: Schema
  readonly isRequired: boolean
}

function fieldsOf(schema: Schema, prefix: string, required: ReadonlySet<string>): Field[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const path = prefix + name
    const own: Field = { path, field, isRequired: required.has(name) }
    const inner = field.type === 'array' ? field.items : field
    if (inner?.properties === undefined) return [own]
    return [
      own,
      ...fieldsOf(inner, `${path}${field.type === 'array' ? '[].' : '.'}`, new Set(inner.required)),
    ]
  })
}

function typeOf(field: Schema): string {
  if (field.enum !== undefined) return field.enum.map((value) => `\`${String(value)}\``).join(', ')
  if (field['x-kubernetes-int-or-string'] === true) return 'int or string'
  if (field.type === 'array') return `list of ${field.items === undefined ? 'any' : typeOf(field.items)}`
  if (field.type === 'object' && typeof field.additionalProperties === 'object')
    return `map of ${typeOf(field.additionalProperties)}`
  return field.type ?? 'any'
}

const defaultOf = (field: Schema): string =>
  field.default === undefined || typeof field.default === 'object' ? '' : `\`${String(field.default)}\``

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ')

/** What the schema's rules say when they refuse, wherever in the object they stand. */
function rules(schema: Schema): string[] {
  const found = new Set<string>()
  const visit = (s: Schema): void => {
    for (const rule of s['x-kubernetes-validations'] ?? [])
      if (rule.message !== undefined) found.add(rule.message)
    for (const child of Object.values(s.properties ?? {})) visit(child)
    if (s.items !== undefined) visit(s.items)
  }
  visit(schema)
  return found.size === 0
    ? []
    : ['Refused by the API server with these words:', '', ...[...found].map((text) => `- ${text}`), '']
}
