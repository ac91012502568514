import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { sha256Of } from '#runtime/base/sha256'

test.each([0, 1, 7, 8, 9, 16, 1000])('%i bytes have the same hash in parts as at once', (length) => {
  const bytes = Uint8Array.from({ length }, (_, i) => i % 251)
  const whole = createHash('sha256').update(bytes).digest('hex')
  expect(sha256Of(bytes, 8)).toBe(whole)
  expect(sha256Of(bytes)).toBe(whole)
})
