import { describe, expect, test } from 'vitest'
import { CLUSTER_KINDS } from '#chaos/cluster/kinds'
import { type ContainerView, loopsOf, type PodView } from '#chaos/cluster/pods'
import { freshSavepoint } from '#chaos/cluster/savepoints'
import { parseOptions } from '#chaos/options'
import { planOf } from '#chaos/plan'
import { listOf } from '#chaos/report'

const pod = (container: Partial<ContainerView>): PodView => ({
  metadata: { name: 'p' },
  status: {
    containerStatuses: [{ name: 'c', containerID: 'containerd://1', restartCount: 0, ...container }],
  },
})
const kills = (count: number) => new Map([['p', count]])

describe('loopsOf()', () => {
  test('a pod that runs is none', () => {
    expect(loopsOf([pod({ restartCount: 3, state: { running: {} } })], new Map())).toEqual([])
  })

  test('a container that Kubernetes holds back is one, whatever was killed', () => {
    const held = pod({ state: { waiting: { reason: 'CrashLoopBackOff' } } })
    expect(loopsOf([held], kills(9))).toEqual([expect.stringContaining('CrashLoopBackOff')])
  })

  test('restarts are one when more than kills and processes that end by themselves explain', () => {
    expect(loopsOf([pod({ restartCount: 6 })], kills(3))).toEqual([])
    expect(loopsOf([pod({ restartCount: 7 })], kills(3))).toEqual([
      'p c was started again 7 times, at most 6 expected',
    ])
    expect(loopsOf([pod({ restartCount: 7 })], new Map([['other', 9]]))).toHaveLength(1)
  })
})

describe('--cluster', () => {
  test('draws every kind that makes sense there, and the same ones for the same seed', () => {
    const told = (seed: number) => {
      const { rounds } = planOf({ seed, kinds: CLUSTER_KINDS, rounds: 60 })
      return rounds.flatMap(({ faults }) => faults.map(({ kind, fault }) => `${kind.name}: ${fault.text}`))
    }
    expect(told(3)).toEqual(told(3))
    const names = new Set(told(3).map((it) => it.split(':')[0]))
    expect(names).toEqual(new Set(CLUSTER_KINDS.map(({ name }) => name)))
  })

  test('takes seed, rounds and kinds, and refuses kinds of processes', () => {
    const { on, draws } = parseOptions('--cluster --seed 4 --rounds 2 --kinds kill,restore'.split(' '))
    const [draw, ...more] = [...draws].map(({ kinds, ...rest }) => ({ ...rest, kinds: listOf(kinds) }))
    expect({ on, draw, more }).toMatchObject({ on: 'cluster', draw: { seed: 4, rounds: 2 }, more: [] })
    expect(draw?.kinds.split('\n').map((line) => line.split(' ')[0])).toEqual(['kill', 'restore'])
    expect(() => parseOptions(['--cluster', '--kinds', 'clock-step'])).toThrow(/no fault clock-step/)
  })
})

test('a restore takes the savepoint of its own stop: complete, and never one of before', () => {
  const savepoint = (name: string, trigger: string, phase: string) => ({
    metadata: { name },
    status: { trigger, phase },
  })
  const all = [
    savepoint('sp-1', 'User', 'Completed'),
    savepoint('old', 'Suspend', 'Completed'),
    savepoint('failed', 'Suspend', 'Failed'),
  ]
  expect(freshSavepoint(all, new Set(['old']))).toBeUndefined()
  expect(freshSavepoint([...all, savepoint('new', 'Suspend', 'Completed')], new Set(['old']))).toBe('new')
})
