/**
 * Building blocks of the API's schemas. A rule is written twice, as CEL for the API server and as a
 * predicate for `weir run` and the operator, side by side so that they cannot drift unseen; a test
 * compares the two on examples.
 */
import { DURATION_PATTERN, parseDuration } from '#runtime/base/units'
import * as z from 'zod'
import { quantityToNumber } from './quantity.ts'

/** A rule of a schema: for the API server, and for whoever parses with the schema. */
export interface Rule<T> {
  readonly cel: string
  readonly message: string
  /** Absent for rules that only a change can break (`oldSelf`). */
  readonly holds?: (value: T) => boolean
  /** Field that the error is reported at, relative to the object that has the rule. */
  readonly field?: string
}

/** Adds rules to a schema: CEL into the generated CRD, predicates into `parse`. */
export function withRules<S extends z.ZodType>(schema: S, ...rules: readonly Rule<z.output<S>>[]): S {
  const existing = (z.globalRegistry.get(schema)?.['x-kubernetes-validations'] ?? []) as readonly object[]
  let checked: z.ZodType = schema
  for (const rule of rules) {
    const { holds } = rule
    if (holds !== undefined)
      checked = checked.refine((value) => holds(value as z.output<S>), {
        message: rule.message,
        path: rule.field === undefined ? [] : rule.field.split('.'),
      })
  }
  const validations = rules.map((r) => ({
    rule: r.cel,
    message: r.message,
    ...(r.field === undefined ? {} : { fieldPath: `.${r.field}` }),
  }))
  return checked.meta({ 'x-kubernetes-validations': [...existing, ...validations] }) as unknown as S
}

export const immutable = (what: string): Rule<unknown> => ({
  cel: 'self == oldSelf',
  message: `${what} cannot be changed after creation; make a new object instead`,
})

const DURATION_MESSAGE = 'must be a duration of ms, s, m, h parts such as "500ms", "10s" or "1h30m"'
const isDuration = (text: string): boolean => new RegExp(DURATION_PATTERN).test(text)

/** Text such as "500ms", "10s" or "1h30m". */
export const duration = (minMs = 0, maxMs = 365 * 24 * 3_600_000) =>
  withRules(
    z.string({ error: DURATION_MESSAGE }).max(32),
    {
      cel: `self.matches('${DURATION_PATTERN}')`,
      message: DURATION_MESSAGE,
      holds: isDuration,
    },
    {
      cel:
        `!self.matches('${DURATION_PATTERN}') || ` +
        `(duration(self) >= duration('${minMs}ms') && duration(self) <= duration('${maxMs}ms'))`,
      message: `must be between ${minMs}ms and ${maxMs / 3_600_000}h`,
      holds: (text) => !isDuration(text) || (parseDuration(text) >= minMs && parseDuration(text) <= maxMs),
    },
  )

/**
 * The duration in one field stands in a relation to that in another; reported at the first. Text
 * that is no duration is told of by its own field, not here.
 */
export function comparedDurations<A extends string, B extends string>(
  [one, relation, other]: readonly [A, '<' | '<=', B],
  message: string,
): Rule<Readonly<Record<A | B, string>>> {
  return {
    cel: [
      ...[one, other].flatMap((f) => [`!has(self.${f})`, `!self.${f}.matches('${DURATION_PATTERN}')`]),
      `duration(self.${one}) ${relation} duration(self.${other})`,
    ].join(' || '),
    message,
    holds: (value) => {
      if (!isDuration(value[one]) || !isDuration(value[other])) return true
      const difference = parseDuration(value[other]) - parseDuration(value[one])
      return relation === '<' ? difference > 0 : difference >= 0
    },
    field: one,
  }
}

const QUANTITY = /^[+]?([0-9]+|[0-9]+\.[0-9]*|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$/

export const quantity = () =>
  withRules(z.union([z.string(), z.int()]).meta({ 'x-kubernetes-int-or-string': true }), {
    cel: "isQuantity(string(self)) && !string(self).startsWith('-')",
    message: 'must be a quantity such as "500m", "2" or "1Gi"',
    holds: (value) => (typeof value === 'number' ? value >= 0 : QUANTITY.test(value)),
  })

const resourceList = (what: string) =>
  z
    .record(z.string(), quantity())
    .meta({ maxProperties: 8 })
    .optional()
    .describe(`${what}, by resource name (cpu, memory, ...).`)

/** Less does not start a process: mostly "512m", which is half a byte, for "512Mi". */
const LEAST_MEMORY = '64Mi'
const LEAST_MEMORY_BYTES = 64 * 2 ** 20

type Amount = string | number
interface Resources {
  readonly requests?: Readonly<Record<string, Amount>> | undefined
  readonly limits?: Readonly<Record<string, Amount>> | undefined
}

/** NaN, which no comparison holds for, where it is none. */
const amountOf = (amount: Amount): number => quantityToNumber(amount) ?? Number.NaN
const inLimits = (name: string): string => `has(self.limits) && '${name}' in self.limits`
/** Text that is no quantity is told of by its own field. */
const bothQuantities = (name: string): string =>
  `!isQuantity(string(self.requests['${name}'])) || !isQuantity(string(self.limits['${name}']))`

export const resources = () =>
  withRules(
    z.strictObject({
      requests: resourceList('What the scheduler reserves'),
      limits: resourceList('What the container may use at most'),
    }),
    ...['cpu', 'memory'].map((name) => ({
      cel:
        `!(has(self.requests) && '${name}' in self.requests && ${inLimits(name)}) || ` +
        `${bothQuantities(name)} || quantity(string(self.requests['${name}']))` +
        `.compareTo(quantity(string(self.limits['${name}']))) <= 0`,
      message: `requests.${name} must not be more than limits.${name}`,
      holds: ({ requests, limits }: Resources) =>
        requests?.[name] === undefined ||
        limits?.[name] === undefined ||
        !(amountOf(requests[name]) > amountOf(limits[name])),
      field: 'requests',
    })),
    {
      cel:
        `!(${inLimits('memory')}) || !isQuantity(string(self.limits['memory'])) || ` +
        `quantity(string(self.limits['memory'])).compareTo(quantity('${LEAST_MEMORY}')) >= 0`,
      message: `limits.memory must be at least ${LEAST_MEMORY}; megabytes are "Mi", "m" is a thousandth`,
      holds: ({ limits }: Resources) =>
        limits?.['memory'] === undefined || !(amountOf(limits['memory']) < LEAST_MEMORY_BYTES),
      field: 'limits',
    },
  )

const DNS_LABEL = "self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')"
export const objectName = () =>
  withRules(z.string().min(1).max(253), {
    cel: DNS_LABEL,
    message: 'must be the name of an object: lower-case letters, digits, "-" and "."',
    holds: (name) => /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(name),
  })

/** An object in the same namespace, never across. */
export const objectRef = (what: string) =>
  z.strictObject({ name: objectName().describe(`Name of the ${what}, in the same namespace.`) })

export const keyRef = (what: string, key: string) =>
  z.strictObject({
    name: objectName().describe(`Name of the ${what}, in the same namespace.`),
    key: z.string().min(1).max(253).default(key).describe(`Key in the ${what}.`),
  })

/** A list that server-side apply merges by `key`. */
export const listMap = <S extends z.ZodType>(item: S, key: string, maxItems: number) =>
  z
    .array(item)
    .max(maxItems)
    .superRefine((items, context) => {
      const keys = items.map((it) => (it as Readonly<Record<string, unknown>>)[key])
      for (const [i, value] of keys.entries())
        if (keys.indexOf(value) < i)
          context.addIssue({
            code: 'custom',
            message: `has ${key} ${String(value)} a second time`,
            path: [i],
          })
    })
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': [key] })

/** An open object that the API server keeps as it is. */
export const preserved = () => z.looseObject({})

export const time = () => z.iso.datetime({ offset: true }).meta({ format: 'date-time' })

export const condition = z.object({
  type: z.string().max(316).describe('Type of the condition in CamelCase.'),
  status: z.enum(['True', 'False', 'Unknown']).describe('Whether it holds.'),
  observedGeneration: z
    .int()
    .min(0)
    .optional()
    .describe('Generation of the object that it was computed for.'),
  lastTransitionTime: time().describe('When its status changed last.'),
  reason: z
    .string()
    .min(1)
    .max(1024)
    .describe('One CamelCase word that says why; see the reference of reasons.'),
  message: z.string().max(32_768).describe('The same as a sentence, with values.'),
})
export type Condition = z.infer<typeof condition>

export const conditions = () =>
  listMap(condition, 'type', 16).describe('The state of the object, for machines.')

/** What manifests may say in metadata. */
export const objectMeta = z.looseObject({
  name: z.string(),
  namespace: z.string().optional(),
  labels: z.record(z.string(), z.string()).optional(),
  annotations: z.record(z.string(), z.string()).optional(),
})
