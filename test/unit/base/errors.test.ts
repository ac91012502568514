import { describe, expect, test } from 'vitest'
import { fromErrorData, toErrorData, WeirError } from '#runtime/base/errors'

describe('toErrorData() and fromErrorData()', () => {
  test('the stack of user code survives being sent on any number of times', () => {
    const cause = new Error('five is not allowed')
    const data = toErrorData(new WeirError('USR_FAILED', 'Operator a failed: five is not allowed', { cause }))
    expect(data.stack).toBe(cause.stack)
    expect(toErrorData(fromErrorData(toErrorData(fromErrorData(data))))).toEqual(data)
  })
  test('a foreign error is a defect, with its stack', () => {
    const error = new TypeError('x is not a function')
    const data = toErrorData(error)
    expect(data).toMatchObject({ code: 'BUG', message: 'x is not a function', stack: error.stack })
    expect(toErrorData(fromErrorData(data))).toEqual(data)
  })
  test('errors about configuration carry no stack', () => {
    const data = toErrorData(
      new WeirError('CFG_INVALID', 'bad', { cause: new Error('x'), context: { a: 1 } }),
    )
    expect(data).toEqual({ code: 'CFG_INVALID', message: 'bad', retry: 'never', context: { a: 1 } })
    expect(fromErrorData(data)).toMatchObject({
      code: 'CFG_INVALID',
      message: 'bad',
      retry: 'never',
      context: { a: 1 },
    })
  })
})
