import { describe, expect, test } from 'vitest'
import { withStatus, withRun, neverRan, withRestore, withSource } from './observed.ts'
import { kinds, plan, stepOf } from './plans.ts'

describe("restore from another job's checkpoint", () => {
  const PATH = 's3://shared/weir/shop/sales/uid-2/chk/7-1'
  const address = { url: 'http://10.0.0.2:8081', token: 'u' }
  const source = { name: 'sales', leader: address, isAwaited: false, isSilent: false }
  const fork = [neverRan, withRestore('r1', PATH)] as const

  test('asks its leader to keep it, before anything else', () => {
    const p = plan(...fork, withSource(source))
    expect(kinds(p)).toEqual(['pinSource', 'writeStatus', 'ensureRun', 'event'])
    expect(p.steps[0]).toMatchObject({
      address,
      request: { path: PATH, by: 'shop/orders/11111111-2222-3333-4444-555555555555' },
    })
  })

  test('waits for a leader that is away for a moment', () => {
    const p = plan(...fork, withSource({ ...source, leader: undefined, isAwaited: true }))
    expect(p).toMatchObject({ steps: [], blocker: { reason: 'RestoreNotReady', needsUser: false } })
    expect(p.message).toContain('StreamJob sales')
  })

  test('begins without it when nobody leads that could retire anything', () => {
    const p = plan(...fork, withSource({ ...source, leader: undefined, isAwaited: false }))
    expect(kinds(p)).toEqual(['writeStatus', 'ensureRun', 'event'])
  })

  test('begins without it when it runs and its leader is not heard, and says so', () => {
    const p = plan(...fork, withSource({ ...source, leader: undefined, isSilent: true }))
    expect(kinds(p)).toEqual(['writeStatus', 'ensureRun', 'event', 'event'])
    expect(stepOf(p, 'event')).toMatchObject({ type: 'Warning', reason: 'SourceNotAsked' })
  })

  test('asks nothing once the block has acted', () => {
    const acted = [withStatus({ restoreHash: 'r1' }), withRun({ outcome: 'Superseded' })] as const
    expect(kinds(plan(withRestore('r1', PATH), ...acted, withSource(source)))).not.toContain('pinSource')
  })
})
