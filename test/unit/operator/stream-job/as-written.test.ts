import { describe, expect, test } from 'vitest'
import { isAsWritten } from '#operator/stream-job/as-written'
import { facts, withFacts } from './observed.ts'
import { statusOf } from './statuses.ts'

describe('isAsWritten()', () => {
  const running = statusOf()

  test.each([
    ['the same again', facts(), true],
    ['a standby', facts({ leading: false, state: 'Created', attempt: undefined }), true],
    [
      'further checkpoints and records',
      facts({ records: { in: 9, out: 9, perSecond: 9, outPerSecond: 9 } }),
      true,
    ],
    ['another state', facts({ state: 'Restarting' }), false],
    ['another attempt', facts({ attempt: '8.1' }), false],
    ['another run', facts({ run: 4 }), false],
    ['a restart in between', facts({ restarts: 1 }), false],
    ['a wait', facts({ waits: [{ kind: 'store', since: 0, message: 'the store' }] }), false],
    ['a standby that says that the run is over', facts({ leading: false, state: 'Finished' }), false],
  ])('%s', (_, heard, isSo) => {
    expect(isAsWritten(running, heard)).toBe(isSo)
  })

  test('a job that was not running has news', () => {
    expect(isAsWritten(statusOf(withFacts({ state: 'Restarting' })), facts())).toBe(false)
    expect(isAsWritten({}, facts({ leading: false, state: 'Created' }))).toBe(false)
  })
})
