import { member } from '#runtime/base/member'
import { VERSION } from '#runtime/contract/version'
import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import { jobManagerConfig, taskManagerConfig } from '#runtime/contract/process-config'
import {
  JOB_MANAGER_KEYS,
  type KeysByVersion,
  OLDEST_RUNTIME,
  TASK_MANAGER_KEYS,
  writtenFor,
} from '#runtime/contract/process-config-keys'

function* keysOf(schema: unknown, at = ''): Generator<string> {
  for (const [name, property] of Object.entries(member(schema, 'properties') ?? {})) {
    const key = at === '' ? name : `${at}.${name}`
    yield key
    yield* keysOf(property, key)
  }
  for (const kind of ['anyOf', 'oneOf'])
    for (const variant of Object.values(member(schema, kind) ?? [])) yield* keysOf(variant, at)
}

const minorOf = (version: string): number => Number(version.split('.')[1])

test('the oldest runtime that is served is of the version before the previous, from 0.1 on', () => {
  expect(minorOf(OLDEST_RUNTIME)).toBe(Math.max(1, minorOf(VERSION) - 2))
})

describe.each([
  ['a JobManager', jobManagerConfig, JOB_MANAGER_KEYS],
  ['a TaskManager', taskManagerConfig, TASK_MANAGER_KEYS],
])('the configuration of %s', (_what, schema: z.ZodType, keys: KeysByVersion) => {
  test('has each key in the table of versions, once', () => {
    const known = [...new Set(keysOf(z.toJSONSchema(schema, { io: 'input' })))]
    expect(Object.values(keys).flat().toSorted()).toEqual(known.toSorted())
  })
})

describe('writtenFor()', () => {
  const schema = z.strictObject({
    old: z.int().default(1),
    part: z.strictObject({ fresh: z.int().default(2), kept: z.int().default(3) }).prefault({}),
    group: z.strictObject({ a: z.int().default(4) }).prefault({}),
  })
  const keys = {
    '0.1.0': ['old', 'part', 'part.kept'],
    '0.2.0': ['part.fresh'],
    '0.10.0': ['group', 'group.a'],
  }
  const written = (config: object, oldest: string) => writtenFor(schema.parse(config), schema, keys, oldest)

  test('leaves out what older runtimes do not know and what changes nothing', () => {
    expect(written({}, '0.1.0')).toEqual({ old: 1, part: { kept: 3 } })
    expect(written({}, '0.2.1')).toEqual({ old: 1, part: { fresh: 2, kept: 3 } })
    expect(written({}, '0.10.0')).toEqual({ old: 1, part: { fresh: 2, kept: 3 }, group: { a: 4 } })
  })

  test('writes what is asked for, also where an older runtime will refuse it', () => {
    const config = { part: { fresh: 9 }, group: { a: 5 } }
    expect(written(config, '0.1.0')).toEqual({ old: 1, part: { fresh: 9, kept: 3 }, group: { a: 5 } })
  })
})
