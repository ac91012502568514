import { WeirError } from '#runtime/base/errors'
import { preview } from '#runtime/base/preview'

/** @throws {WeirError} CFG_INVALID with what `call` was given and takes, unless `isRight`. */
export function expectCall(isRight: boolean, call: string, given: unknown, expected: string): void {
  if (!isRight) throw new WeirError('CFG_INVALID', `${call} got ${preview(given)}. Expected ${expected}.`)
}

/** @throws {WeirError} CFG_INVALID unless `ms` is a time. */
export const expectTime = (call: string, ms: unknown, least = -Infinity): void =>
  expectCall(
    typeof ms === 'number' && !Number.isNaN(ms) && ms >= least,
    call,
    ms,
    least === 0 ? 'milliseconds, 0 or more' : 'milliseconds',
  )
