import { describe, expect, test } from 'vitest'
import type { ExecutionPlan } from '#runtime/contract/job-plan'
import type { ExecutionReport } from '#runtime/contract/rpc'
import { decideAdoption, type AdoptionInput } from '#runtime/job-manager/adoption'

const plan: ExecutionPlan = {
  hash: 'plan',
  maxParallelism: 128,
  vertices: [
    { id: 'a', name: 'a', parallelism: 1, operators: [] },
    { id: 'b', name: 'b', parallelism: 2, operators: [] },
  ],
  edges: [],
  guarantee: 'exactly-once',
}
const place = (vertex: string, subtask: number, taskManager: string) => ({
  vertex,
  subtask,
  taskManager,
  slot: 0,
})
const report = (given: Partial<ExecutionReport>): ExecutionReport => ({
  attempt: '1.3',
  planHash: 'plan',
  places: [],
  state: 'Running',
  highestCheckpointId: 0,
  ...given,
})
const first = report({ places: [place('a', 0, 'tm-1'), place('b', 0, 'tm-1')], highestCheckpointId: 7 })
const second = report({ places: [place('b', 1, 'tm-2')], highestCheckpointId: 8 })
const input = (given: Partial<AdoptionInput>): AdoptionInput => ({
  plan,
  run: 1,
  deploy: {
    kind: 'DEPLOY',
    attempt: '1.3',
    run: 1,
    planHash: 'plan',
    restoreFrom: { kind: 'empty' },
    why: '',
    seq: 2,
    at: 0,
  },
  isEnding: false,
  expectedSlots: 2,
  answers: [
    { slots: 1, report: first },
    { slots: 1, report: second },
  ],
  ...given,
})

describe('decideAdoption()', () => {
  test('adopts when every planned subtask runs exactly once in the attempt deployed last', () => {
    expect(decideAdoption(input({}))).toEqual({
      kind: 'adopt',
      attempt: '1.3',
      places: [...first.places, ...second.places],
      highestCheckpointId: 8,
    })
  })

  test('waits while TaskManagers have not answered', () => {
    expect(decideAdoption(input({ answers: [{ slots: 1, report: first }] })).kind).toBe('wait')
  })

  test('adopts tasks behind a stop barrier when the run is to end with it', () => {
    const stopped = [first, second].map((r) => ({ slots: 1, report: { ...r, state: 'Stopped' as const } }))
    expect(decideAdoption(input({ answers: stopped })).kind).toBe('deploy')
    expect(decideAdoption(input({ answers: stopped, isEnding: true })).kind).toBe('adopt')
  })

  test.each([
    ['nothing was deployed in this run', { deploy: undefined }],
    ['the plan is another one', { plan: { ...plan, hash: 'other' } }],
    [
      'a TaskManager lost its tasks',
      {
        answers: [
          { slots: 1, report: first },
          { slots: 1, report: undefined },
        ],
      },
    ],
    [
      'tasks stopped at a barrier',
      {
        answers: [
          { slots: 1, report: first },
          { slots: 1, report: { ...second, state: 'Stopped' } },
        ],
      },
    ],
    [
      'tasks are of another attempt',
      {
        answers: [
          { slots: 1, report: first },
          { slots: 1, report: { ...second, attempt: '1.2' } },
        ],
      },
    ],
    [
      'a subtask runs twice',
      {
        answers: [
          { slots: 1, report: first },
          { slots: 1, report: { ...first, places: [...first.places, ...second.places] } },
        ],
      },
    ],
  ] as const)('deploys anew when %s', (_what, given) => {
    expect(decideAdoption(input(given)).kind).toBe('deploy')
  })
})
