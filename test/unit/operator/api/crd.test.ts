import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { DEFINITIONS, structural } from '#operator/api/crd'
import { savepointStatus } from '#operator/api/v1alpha1/savepoint'
import { streamJobStatus } from '#operator/api/v1alpha1/stream-job-status'

const STATUS_OF: Record<string, typeof streamJobStatus | typeof savepointStatus> = {
  'weir.dev_streamjobs.yaml': streamJobStatus,
  'weir.dev_savepoints.yaml': savepointStatus,
}

const root = path.resolve(import.meta.dirname, '../../../..')
type Schema = { [key: string]: unknown }

/** Every schema node below `schema`, with its path. */
function* nodes(schema: Schema, at: string): Generator<[string, Schema]> {
  yield [at, schema]
  for (const [name, property] of Object.entries((schema['properties'] ?? {}) as Record<string, Schema>))
    yield* nodes(property, `${at}.${name}`)
  if (schema['items'] !== undefined) yield* nodes(schema['items'] as Schema, `${at}[]`)
  if (typeof schema['additionalProperties'] === 'object')
    yield* nodes(schema['additionalProperties'] as Schema, `${at}{}`)
}

const schemaOf = (definition: Schema): Schema => {
  const version = ((definition['spec'] as Schema)['versions'] as Schema[])[0]
  return (version?.['schema'] as Schema)['openAPIV3Schema'] as Schema
}

describe.each(Object.keys(DEFINITIONS))('%s', (file) => {
  const definition = DEFINITIONS[file]!() as Schema
  const all = [...nodes(schemaOf(definition), '')]

  test('is committed as generated', async () => {
    expect(parse(await readFile(path.join(root, 'crds', file), 'utf8'))).toEqual(
      JSON.parse(JSON.stringify(definition)),
    )
  })

  test('stays far below the size that kubectl apply can annotate', async () => {
    expect((await readFile(path.join(root, 'crds', file))).byteLength).toBeLessThan(131_072)
  })

  test('every field is described', () => {
    const bare = all
      .filter(
        ([at, s]) => /\.[A-Za-z0-9]+$/.test(at) && at !== '.metadata' && typeof s['description'] !== 'string',
      )
      .map(([at]) => at)
    expect(bare).toEqual([])
  })

  test('every node has a type or is int-or-string, and nothing that structural schemas forbid', () => {
    for (const [at, s] of all) {
      expect(s['type'] !== undefined || s['x-kubernetes-int-or-string'] === true, at).toBe(true)
      for (const forbidden of [
        '$ref',
        'oneOf',
        'allOf',
        'not',
        'definitions',
        'patternProperties',
        'nullable',
      ])
        expect(s, at).not.toHaveProperty(forbidden)
      expect(s['properties'] !== undefined && s['additionalProperties'] !== undefined, at).toBe(false)
    }
  })

  test('says every rule in a sentence instead of a pattern', () => {
    for (const [at, s] of all) {
      expect(s['pattern'], at).toBeUndefined()
      for (const rule of (s['x-kubernetes-validations'] ?? []) as Schema[])
        expect(String(rule['message']).split(' ').length, at).toBeGreaterThan(2)
    }
  })

  test('an object that the operator has not seen is not taken for ready', () => {
    const status = (schemaOf(definition)['properties'] as Record<string, Schema>)['status']!
    const unseen = STATUS_OF[file]?.parse(status['default'])
    expect(unseen?.conditions).toMatchObject([{ type: 'Ready', status: 'Unknown', reason: 'Pending' }])
    expect(unseen).not.toHaveProperty('observedGeneration')
  })

  test('bounds every string and list of the spec, so that the cost of rules is bounded', () => {
    const unbounded = all
      .filter(([at]) => at.startsWith('.spec'))
      .filter(([at, s]) => {
        const isText = s['type'] === 'string' && s['enum'] === undefined && !at.endsWith('{}')
        return (
          (isText && s['maxLength'] === undefined) || (s['type'] === 'array' && s['maxItems'] === undefined)
        )
      })
    expect(unbounded.map(([at]) => at)).toEqual([])
  })
})

describe('StreamJob', () => {
  const definition = DEFINITIONS['weir.dev_streamjobs.yaml']!() as Schema

  test('scales by TaskManager pods', () => {
    expect(JSON.stringify(definition)).toContain('"specReplicasPath":".spec.taskManager.replicas"')
  })

  test('has a default for every object whose child has one, so that the API server fills the child', () => {
    const missing: string[] = []
    const spec = (schemaOf(definition)['properties'] as Record<string, Schema>)['spec']!
    for (const name of ['checkpoint', 'restart', 'upgrade', 'jobManager', 'taskManager'])
      if (JSON.stringify((spec['properties'] as Record<string, Schema>)[name]?.['default']) !== '{}')
        missing.push(name)
    expect(missing).toEqual([])
  })
})

describe('structural()', () => {
  test('keeps open objects and drops what closes objects', () => {
    expect(structural({ type: 'object', additionalProperties: {} })).toEqual({
      type: 'object',
      'x-kubernetes-preserve-unknown-fields': true,
    })
    expect(structural({ type: 'object', additionalProperties: false })).toEqual({ type: 'object' })
  })

  test('drops bounds that only say safe integer', () => {
    expect(structural({ type: 'integer', minimum: Number.MIN_SAFE_INTEGER, maximum: 7 })).toEqual({
      type: 'integer',
      maximum: 7,
      format: 'int64',
    })
  })
})
