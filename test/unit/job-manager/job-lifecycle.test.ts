import { describe, expect, test } from 'vitest'
import { assertTransition, isFinal } from '#runtime/job-manager/job-lifecycle'

describe('job lifecycle', () => {
  test('ends in Finished, Suspended, Drained or Failed and nowhere else', () => {
    for (const state of ['Finished', 'Suspended', 'Drained', 'Failed'] as const)
      expect(isFinal(state)).toBe(true)
    for (const state of [
      'Created',
      'WaitingForSlots',
      'Deploying',
      'Running',
      'Restarting',
      'Stopping',
    ] as const)
      expect(isFinal(state)).toBe(false)
  })

  test('refuses an edge that is not in the table', () => {
    expect(() => assertTransition('Finished', 'Running')).toThrow('A job cannot go from Finished to Running')
    expect(() => assertTransition('Running', 'Restarting')).not.toThrow()
  })
})
