/**
 * CustomResourceDefinitions from the zod schemas. Pure; scripts/gen.ts writes the result to crds/.
 */
import * as z from 'zod'
import type { ConditionType, Reason } from './conditions.ts'
import { GROUP, VERSION } from './group.ts'
import { savepointSpec, savepointStatus } from './v1alpha1/savepoint.ts'
import { streamJob, streamJobSpec } from './v1alpha1/stream-job.ts'
import { streamJobStatus } from './v1alpha1/stream-job-status.ts'

type Json = { [key: string]: unknown }

/**
 * JSON Schema (OpenAPI 3.0 dialect) -> structural schema of Kubernetes: no closed objects (the API
 * server prunes unknown fields by itself), open objects kept, int-or-string in its one allowed
 * form, no bounds that only say "safe integer".
 */
export function structural(schema: Json): Json {
  const { $schema: _s, propertyNames: _p, additionalProperties: others, ...own } = schema
  if (own['x-kubernetes-int-or-string'] === true) {
    const { oneOf: _o, ...rest } = own
    return { ...rest, anyOf: [{ type: 'integer' }, { type: 'string' }] }
  }
  const out: Json = { ...withoutNoise(own), ...openness(others) }
  if (isObject(out['properties'])) out['properties'] = mapMembers(out['properties'], structural)
  if (isObject(out['items'])) out['items'] = structural(out['items'])
  return out
}

function withoutNoise(schema: Json): Json {
  const out: Json = { ...schema }
  if (out['minimum'] === Number.MIN_SAFE_INTEGER) delete out['minimum']
  if (out['maximum'] === Number.MAX_SAFE_INTEGER) delete out['maximum']
  if (out['type'] === 'integer') out['format'] = 'int64'
  if (out['format'] === 'date-time') delete out['pattern']
  return out
}

/** What `additionalProperties` becomes. */
function openness(others: unknown): Json {
  if (others === undefined || others === false) return {}
  const isOpen = others === true || (isObject(others) && Object.keys(others).length === 0)
  if (isOpen) return { 'x-kubernetes-preserve-unknown-fields': true }
  return { additionalProperties: isObject(others) ? structural(others) : others }
}

const mapMembers = (object: Json, change: (member: Json) => Json): Json =>
  Object.fromEntries(Object.entries(object).map(([name, member]) => [name, change(member as Json)]))

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const toStructural = (schema: z.ZodType, description: string): Json => ({
  ...structural(z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input' }) as Json),
  description,
})

/**
 * The status of an object that the operator has not seen yet, so that nobody takes it for done. The
 * API server fills it in wherever it reads an object without a status, as for the Gateway API.
 */
const PENDING_STATUS = {
  conditions: [
    {
      type: 'Ready' satisfies ConditionType,
      status: 'Unknown',
      reason: 'Pending' satisfies Reason,
      message: 'Waiting for the operator.',
      lastTransitionTime: '1970-01-01T00:00:00Z',
    },
  ],
}

const statusSchema = (schema: z.ZodType): Json => ({
  ...toStructural(schema, 'What the operator sees; written by the operator only.'),
  default: PENDING_STATUS,
})

interface Column {
  readonly name: string
  readonly type: 'string' | 'integer' | 'date'
  readonly jsonPath: string
  readonly description: string
  readonly format?: string
  readonly priority?: number
}

interface Kind {
  readonly kind: string
  readonly plural: string
  readonly shortName: string
  readonly description: string
  readonly spec: Json
  readonly status: Json
  readonly rules: unknown
  readonly columns: readonly Column[]
  readonly scale?: Json
  readonly selectable: readonly string[]
}

const conditionStatus = (type: string, field = 'status'): string =>
  `.status.conditions[?(@.type=="${type}")].${field}`
const AGE: Column = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'Time since creation.',
}

function definition(kind: Kind): Json {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `${kind.plural}.${GROUP}`,
      labels: { 'app.kubernetes.io/name': 'weir', 'app.kubernetes.io/part-of': 'weir' },
    },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: {
        kind: kind.kind,
        listKind: `${kind.kind}List`,
        plural: kind.plural,
        singular: kind.kind.toLowerCase(),
        shortNames: [kind.shortName],
        categories: ['streams'],
      },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: { status: {}, ...(kind.scale === undefined ? {} : { scale: kind.scale }) },
          selectableFields: kind.selectable.map((jsonPath) => ({ jsonPath })),
          additionalPrinterColumns: kind.columns,
          schema: {
            openAPIV3Schema: {
              type: 'object',
              description: kind.description,
              required: ['spec'],
              ...(kind.rules === undefined ? {} : { 'x-kubernetes-validations': kind.rules }),
              properties: {
                apiVersion: { type: 'string', description: 'Version of the schema of this object.' },
                kind: { type: 'string', description: 'Kind of this object.' },
                metadata: { type: 'object' },
                spec: kind.spec,
                status: kind.status,
              },
            },
          },
        },
      ],
    },
  }
}

const STREAM_JOB_COLUMNS: readonly Column[] = [
  {
    name: 'Ready',
    type: 'string',
    jsonPath: conditionStatus('Ready'),
    description: 'The job is as spec.state asks.',
  },
  { name: 'Phase', type: 'string', jsonPath: '.status.phase', description: 'What the job is doing.' },
  {
    name: 'Waiting',
    type: 'string',
    jsonPath: '.status.waits[0].kind',
    description: 'What the job waits for.',
  },
  { name: 'TM', type: 'integer', jsonPath: '.status.replicas', description: 'TaskManager pods.' },
  {
    name: 'Last-CP',
    type: 'date',
    jsonPath: '.status.lastCheckpoint.completedAt',
    description: 'Time since the newest completed checkpoint.',
  },
  {
    name: 'Restarts',
    type: 'integer',
    jsonPath: '.status.restarts',
    description: 'Restarts of the current run.',
  },
  AGE,
  {
    name: 'Storage',
    type: 'string',
    jsonPath: '.status.storagePath',
    description: "Root of the job's files.",
    priority: 1,
  },
  {
    name: 'Message',
    type: 'string',
    jsonPath: conditionStatus('Ready', 'message'),
    description: 'Why it is so.',
    priority: 1,
  },
]

function streamJobDefinition(): Json {
  return definition({
    kind: 'StreamJob',
    plural: 'streamjobs',
    shortName: 'stj',
    description:
      'A stream-processing job: a JobManager and TaskManagers that run it exactly once, ' +
      'with checkpoints in an S3-compatible store.',
    spec: toStructural(streamJobSpec, 'What the user wants.'),
    status: statusSchema(streamJobStatus),
    rules: z.globalRegistry.get(streamJob)?.['x-kubernetes-validations'],
    scale: {
      specReplicasPath: '.spec.taskManager.replicas',
      statusReplicasPath: '.status.replicas',
      labelSelectorPath: '.status.selector',
    },
    selectable: ['.status.phase'],
    columns: STREAM_JOB_COLUMNS,
  })
}

function savepointDefinition(): Json {
  return definition({
    kind: 'Savepoint',
    plural: 'savepoints',
    shortName: 'svp',
    description:
      'A consistent copy of the state of a StreamJob that belongs to the user: ' +
      'taken from a running job, or one that exists already.',
    spec: toStructural(savepointSpec, 'What the user wants.'),
    status: statusSchema(savepointStatus),
    rules: undefined,
    selectable: ['.status.phase'],
    columns: [
      {
        name: 'Job',
        type: 'string',
        jsonPath: '.status.job',
        description: 'StreamJob that it is taken from.',
      },
      {
        name: 'Ready',
        type: 'string',
        jsonPath: conditionStatus('Ready'),
        description: 'It can be restored from.',
      },
      { name: 'Path', type: 'string', jsonPath: '.status.path', description: 'Directory of its files.' },
      {
        name: 'Bytes',
        type: 'integer',
        format: 'int64',
        jsonPath: '.status.sizeBytes',
        description: 'Size of its files.',
      },
      {
        name: 'Completed',
        type: 'date',
        jsonPath: '.status.completedAt',
        description: 'Time since it was complete.',
      },
      AGE,
      {
        name: 'Message',
        type: 'string',
        jsonPath: conditionStatus('Ready', 'message'),
        description: 'Why it is so.',
        priority: 1,
      },
    ],
  })
}

/** By file name in crds/. */
export const DEFINITIONS: Readonly<Record<string, () => Json>> = {
  'weir.dev_streamjobs.yaml': streamJobDefinition,
  'weir.dev_savepoints.yaml': savepointDefinition,
}
