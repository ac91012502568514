import { describe, expect, test } from 'vitest'
import type { ExecutionPlan } from '#runtime/contract/job-plan'
import { waitsOf, type WaitSources } from '#runtime/job-manager/waits'

const plan: ExecutionPlan = {
  hash: 'h',
  maxParallelism: 128,
  vertices: [{ id: 'count', name: 'count', parallelism: 9, operators: [] }],
  edges: [],
  guarantee: 'exactly-once',
}
const sources = (change: Partial<WaitSources> = {}): WaitSources => ({
  job: { state: 'Running', stateSince: 0 },
  plan,
  taskManagers: [],
  inDoubt: undefined,
  checkpoint: undefined,
  now: 10_000,
  ...change,
})
const inFlight = {
  id: 7,
  kind: 'checkpoint',
  since: 4000,
  missing: ['count/0', 'count/3'],
  trouble: undefined,
} as const

describe('waitsOf()', () => {
  test('a job that runs waits for nothing', () => {
    expect(waitsOf(sources())).toEqual([])
  })

  test('too few slots: how many of how many', () => {
    const job = { state: 'WaitingForSlots', stateSince: 5000 } as const
    const taskManagers = [
      { slots: 2, waits: [] },
      { slots: 2, waits: [] },
    ]
    expect(waitsOf(sources({ job, taskManagers }))).toEqual([
      { kind: 'slots', since: 5000, message: 'slots: 4 of 9 are there, on 2 TaskManagers' },
    ])
  })

  test('slots that are all there are not waited for', () => {
    const job = { state: 'WaitingForSlots', stateSince: 5000 } as const
    expect(waitsOf(sources({ job, taskManagers: [{ slots: 9, waits: [] }] }))).toEqual([])
  })

  test('a checkpoint in flight: which subtasks have not done their part', () => {
    expect(waitsOf(sources({ checkpoint: { ...inFlight, phase: 'EXECUTING' } }))).toEqual([
      { kind: 'checkpoint', since: 4000, message: 'checkpoint 7: the part of count/0, count/3' },
    ])
    const missing = Array.from({ length: 8 }, (_, i) => `count/${i}`)
    const [wait] = waitsOf(sources({ checkpoint: { ...inFlight, missing, phase: 'EXECUTING' } }))
    expect(wait?.message).toMatch(/count\/4 and 3 more$/)
  })

  test('a store that says why, that says nothing, and a record in doubt', () => {
    const committing = { ...inFlight, phase: 'COMMITTING' } as const
    const message = (change: Partial<WaitSources>) => waitsOf(sources(change)).map((wait) => wait.message)
    const trouble = { since: 5000, message: 'no space left for /state.' }
    expect(message({ checkpoint: { ...committing, trouble } })).toEqual([
      'the store: no space left for /state.',
    ])
    expect(message({ checkpoint: committing })).toEqual([
      'the store: it does not answer while checkpoint 7 is written',
    ])
    const inDoubt = {
      kind: 'CHECKPOINT',
      seq: 3,
      since: 3000,
      tries: 2,
      message: 'long',
      cause: 'refused',
    } as const
    expect(message({ checkpoint: committing, inDoubt })).toEqual(['the store: refused'])
  })

  test('what a TaskManager waits for, the longest first, and nothing that has just begun', () => {
    const wait = (since: number, message: string) => ({ kind: 'operator', since, message }) as const
    const taskManagers = [{ slots: 1, waits: [wait(9500, 'new'), wait(8000, 'later'), wait(2000, 'first')] }]
    expect(waitsOf(sources({ taskManagers })).map(({ message }) => message)).toEqual(['first', 'later'])
  })
})
