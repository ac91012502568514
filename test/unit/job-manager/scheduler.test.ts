import { describe, expect, test } from 'vitest'
import type { ExecutionPlan, PlanVertex } from '#runtime/contract/job-plan'
import { assignSlots, slotsWanted } from '#runtime/job-manager/scheduler'

const vertex = (id: string, parallelism: number): PlanVertex => ({ id, name: id, parallelism, operators: [] })
const plan = (...vertices: PlanVertex[]): ExecutionPlan => ({
  hash: '',
  maxParallelism: 128,
  vertices,
  edges: [],
  guarantee: 'exactly-once',
})

describe('slotsWanted()', () => {
  test('is the greatest parallelism, since a slot holds one subtask of each vertex', () => {
    expect(slotsWanted(plan(vertex('a', 1), vertex('b', 4), vertex('c', 2)))).toBe(4)
    expect(slotsWanted(plan())).toBe(1)
  })
})

describe('assignSlots()', () => {
  const offers = [
    { taskManager: 'tm-2', slots: 2 },
    { taskManager: 'tm-1', slots: 2 },
  ]

  test('puts equal subtasks of all vertices into one slot and spreads slots over TaskManagers', () => {
    const places = assignSlots(plan(vertex('a', 1), vertex('b', 3)), offers)
    expect(places).toEqual([
      { vertex: 'a', subtask: 0, taskManager: 'tm-1', slot: 0 },
      { vertex: 'b', subtask: 0, taskManager: 'tm-1', slot: 0 },
      { vertex: 'b', subtask: 1, taskManager: 'tm-2', slot: 0 },
      { vertex: 'b', subtask: 2, taskManager: 'tm-1', slot: 1 },
    ])
  })

  test('gives the same places whatever the order of the offers', () => {
    const p = plan(vertex('a', 4))
    expect(assignSlots(p, offers)).toEqual(assignSlots(p, offers.toReversed()))
  })

  test('places nothing when slots are missing', () => {
    expect(assignSlots(plan(vertex('a', 5)), offers)).toBeUndefined()
    expect(assignSlots(plan(vertex('a', 1)), [])).toBeUndefined()
  })
})
