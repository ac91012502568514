import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import type { Manifest, StoredState } from '#runtime/contract/checkpoint-records'
import type { ExecutionPlan } from '#runtime/contract/job-plan'
import { buildPlan } from '#runtime/graph/execution-plan'
import { buildGraph, defineJob } from '#runtime/graph/job-definition'
import {
  blackhole,
  generator,
  listState,
  monotonous,
  sliding,
  tumbling,
  valueState,
  type KeyedStream,
} from '#runtime/index'
import { matchStates } from '#runtime/restore/match-states'
import { checkRestorable } from '#runtime/restore/restore-point'
import { SubtaskRestore, type RestoreInput } from '#runtime/restore/subtask-restore'
import { HeapBackend } from '#runtime/state/heap-backend'
import { encodeStateFile } from '#runtime/state/snapshot-format'

function planOf(step: (keyed: KeyedStream<string, number>) => { sink: Function }): ExecutionPlan {
  const job = defineJob(({ env }) => {
    const numbers = env.source('numbers', generator({ count: 1, make: (n) => n }))
    const keyed = numbers.assignTimestamps((n) => n, monotonous()).keyBy(() => 'k')
    step(keyed).sink('out', blackhole())
  })
  return buildPlan(buildGraph(job, {}), { parallelism: 1, maxParallelism: 128 })
}
const onRecord = () => undefined
const withState = (state: Record<string, any>) =>
  planOf((keyed) => keyed.process('step', { state, onRecord }))

const stored = (more: Partial<StoredState> = {}): StoredState => ({
  uid: 'step',
  name: 'total',
  kind: 'value',
  version: 1,
  keys: ['string'],
  values: ['number'],
  ...more,
})

function manifestOf(...states: readonly StoredState[]): Manifest {
  const [first] = states
  const uids = [first?.uid ?? 'step']
  const file = { inline: '', sizeBytes: 0, sha256: '', writtenBy: 1, mode: 'full' } as const
  const subtasks = [{ subtask: 0, keyGroups: [0, 128] as [number, number], chain: [file] }]
  return {
    maxParallelism: 128,
    vertices: [{ vertex: 'v', uids, states: [...states], parallelism: 1, subtasks }],
  } as unknown as Manifest
}
const refusal = (manifest: Manifest, plan: ExecutionPlan, allow = false) =>
  checkRestorable(manifest, 'file:///chk', plan, allow)
const match = (manifest: Manifest, plan: ExecutionPlan, from = 'step') =>
  matchStates(manifest, plan, { step: from })

describe('state that a step declares differently', () => {
  test('is taken over where nothing has changed', () => {
    const plan = withState({ total: valueState(0), more: listState() })
    expect(match(manifestOf(stored()), plan)).toEqual({ states: {}, unmatched: [] })
    expect(() => refusal(manifestOf(stored()), plan)).not.toThrow()
  })

  test('is refused by name when it has vanished, with the names that there are', () => {
    const plan = withState({ sum: valueState(0) })
    expect(() => refusal(manifestOf(stored()), plan)).toThrow(
      /^Cannot restore file:\/\/\/chk: it holds state "total" \(value, string -> number\) of "step", /,
    )
    expect(() => refusal(manifestOf(stored()), plan)).toThrow('does not declare; it has "sum". Keep the name')
    expect(() => refusal(manifestOf(stored()), plan)).toThrow(`valueState(0, { formerly: ["total"] })`)
    expect(() => refusal(manifestOf(stored()), plan)).toThrow('weir: --allow-non-restored-state')
    expect(() => refusal(manifestOf(stored()), plan)).toThrow(/which the step \(.*match-states\.test\.ts:/)
    expect(() => refusal(manifestOf(stored()), plan)).toThrow(
      expect.objectContaining({ code: 'CKP_RESTORE', retry: 'never' }),
    )
  })

  test('is dropped when that is allowed', () => {
    const plan = withState({ sum: valueState(0) })
    expect(() => refusal(manifestOf(stored()), plan, true)).not.toThrow()
    expect(match(manifestOf(stored()), plan).states).toEqual({ step: { total: null } })
  })

  test('is found under a name that it had', () => {
    const plan = withState({ sum: valueState(0, { formerly: ['all', 'total'] }) })
    expect(match(manifestOf(stored()), plan)).toEqual({
      states: { step: { total: { name: 'sum' } } },
      unmatched: [],
    })
  })

  test('of the old name does not replace what the new name has', () => {
    const plan = withState({ sum: valueState(0, { formerly: ['total'] }) })
    const found = match(manifestOf(stored(), stored({ name: 'sum' })), plan)
    expect(found.states).toEqual({ step: { total: null } })
    expect(found.unmatched).toHaveLength(1)
  })

  test('of another kind is refused', () => {
    const plan = withState({ total: listState() })
    expect(() => refusal(manifestOf(stored()), plan)).toThrow(
      'state "total" (value, string -> number) of "step", which is "list" now',
    )
  })

  test('of an earlier version is converted, of a later one refused', () => {
    const migrate = (old: unknown) => Number(old)
    const plan = withState({ total: valueState(0, { version: 2, migrate }) })
    expect(match(manifestOf(stored()), plan)).toEqual({
      states: { step: { total: { name: 'total', convertFrom: 1 } } },
      unmatched: [],
    })
    expect(() => refusal(manifestOf(stored({ version: 3 })), plan)).toThrow(
      'stored by version 3 of the state; the job has version 2 (',
    )
    expect(() => refusal(manifestOf(stored({ version: 3 })), plan, true)).not.toThrow()
  })

  test('whose default value is of a kind that was never stored is refused', () => {
    const objects = manifestOf(stored({ values: ['object'] }))
    expect(() => refusal(objects, withState({ total: valueState(0) }))).toThrow(
      'state "total" (value, string -> object) of "step", whose default value is of kind number now',
    )
    expect(() => refusal(objects, withState({ total: valueState(0) }))).toThrow(
      '{ version: 2, migrate: (stored) => ... }',
    )
    expect(() => refusal(objects, withState({ total: valueState<unknown>() }))).not.toThrow()
    const mixed = manifestOf(stored({ values: ['number', 'object'] }))
    expect(() => refusal(mixed, withState({ total: valueState(0) }))).not.toThrow()
    const checked = withState({ total: valueState(0, { schema: z.number() }) })
    expect(() => refusal(objects, checked)).not.toThrow()
  })

  test('is checked where it was stored with another schema, or with none', () => {
    const plan = withState({ total: valueState(0, { schema: z.number() }) })
    const schema = plan.vertices.flatMap((v) => v.operators).find((o) => o.uid === 'step')?.states[0]?.schema
    expect(schema).toMatch(/^[0-9a-f]{64}$/)
    const convert = { step: { total: { name: 'total', convertFrom: 1 } } }
    expect(match(manifestOf(stored()), plan).states).toEqual(convert)
    expect(match(manifestOf(stored({ schema: 'another' })), plan).states).toEqual(convert)
    expect(match(manifestOf(stored({ schema })), plan).states).toEqual({})
    const unnamed = withState({ total: valueState(0, { schema: z.number().transform(String) as never }) })
    expect(match(manifestOf(stored({ schema: 'unnamed' })), unnamed).states).toEqual(convert)
  })

  test('that never held anything is no matter', () => {
    const plan = withState({})
    expect(match(manifestOf(stored({ keys: [], values: [] })), plan).unmatched).toEqual([])
  })

  test('of a step that has another uid is found by both names', () => {
    const plan = withState({ sum: valueState(0, { formerly: ['total'] }) })
    const found = match(manifestOf(stored({ uid: 'old' })), plan, 'old')
    expect(found.states).toEqual({ step: { total: { name: 'sum' } } })
  })

  test.each<[string, (keyed: KeyedStream<string, number>) => { sink: Function }, StoredState, string]>([
    [
      'a count that becomes a sum',
      (keyed) => keyed.sum('step', (n) => n),
      stored({ name: 'running', kind: 'count' }),
      'state "running" (count, string -> number) of "step", which is "sum" now',
    ],
    [
      'a process that becomes a count',
      (keyed) => keyed.count('step'),
      stored(),
      'state "total" (value, string -> number) of "step", which the step',
    ],
    [
      'a window of another size',
      (keyed) => keyed.window('step', tumbling('10s')).count(),
      stored({ name: 'panes', kind: 'count by panes of 1m' }),
      'which is "count by panes of 10s" now',
    ],
    [
      'a window of another result',
      (keyed) => keyed.window('step', sliding({ size: '1m', slide: '10s' })).max((n) => n),
      stored({ name: 'panes', kind: 'count by panes of 10s' }),
      'which is "max by panes of 10s" now',
    ],
  ])('is refused: %s', (_, step, state, sentence) => {
    expect(() => refusal(manifestOf(state), planOf(step))).toThrow(sentence)
  })

  test('all of it is told at once', () => {
    const manifest = manifestOf(stored(), stored({ name: 'list', kind: 'list' }))
    expect(() => refusal(manifest, withState({}))).toThrow(/2 states do not fit:\n- .*"total".*\n- .*"list"/)
  })
})

test('a renamed state is restored under its new name with its times of expiry; a dropped one is not', () => {
  const options = { keyGroups: { from: 0, to: 128 }, maxParallelism: 128, monotonic: () => 0 }
  const before = new HeapBackend({ uid: 'step', ...options })
  before.table('state:total').put('a', 1)
  before.table('expiry:total').put('a', 99)
  before.table('state:gone').put('a', 2)
  before.table('state:kept').put('a', 3)
  const snapshot = before.snapshot(1, 0)
  while (!snapshot.step(1000));
  const file = encodeStateFile({ mode: 'full', sections: snapshot.sections() }, { compress: false })
  const chains = [{ oldSubtask: 0, oldParallelism: 1, uids: ['step'], keyed: [file], lists: undefined }]
  const input: RestoreInput = {
    checkpointId: 1,
    storedUid: {},
    states: { step: { total: { name: 'sum' }, gone: null } },
    chains,
  }
  const after = new HeapBackend({ uid: 'step', ...options })
  new SubtaskRestore(input).keyed('step', after, {})
  const found = ['state:sum', 'expiry:sum', 'state:kept', 'state:total', 'state:gone'].map((table) =>
    after.table<string, number>(table).get('a'),
  )
  expect(found).toEqual([1, 99, 3, undefined, undefined])
  expect(before.shapeOf('total')).toEqual({ keys: ['string'], values: ['number'] })
})
