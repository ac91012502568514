/**
 * What the author's module failed with while it was loaded or built its graph: at which line, and,
 * for the usual slips, what to write instead.
 */
import { messageOf, WeirError } from '#runtime/base/errors'
import { userLocation } from '#runtime/base/user-source'
import { DataStream } from './data-stream.ts'
import { KeyedStream } from './keyed-stream.ts'
import { locationOfFrame } from './source-location.ts'
import { WindowedStream } from './windowed-stream.ts'

/**
 * `error` of a function of Weir that the module called, with the line of that call in front, unless
 * its message names a line of that module already.
 */
export function placed(error: WeirError): WeirError {
  const location = userLocation(error.stack)
  const file = location?.replace(/:\d+:\d+$/, ':')
  if (location === undefined || file === undefined || error.message.includes(file)) return error
  const { code, context, retry } = error
  return new WeirError(code, `${location}: ${error.message}`, { cause: error, context, retry })
}

/** What the job's function threw, without a full stop: the message, the line, the advice. */
export function buildFailure(cause: unknown): string {
  const stack = cause instanceof Error ? cause.stack : undefined
  const frames = (stack ?? '').split('\n').map(locationOfFrame)
  const location = userLocation(stack) ?? frames.find((found) => found !== undefined)
  const message = messageOf(cause)
  const advice = importAdvice(cause) ?? stepAdvice(message)
  return (
    (location === undefined ? message : `${message} (${location})`) +
    (advice === undefined ? '' : `. ${advice}`)
  )
}

/** Of "tumbling is not defined": what is missing. */
export function importAdvice(cause: unknown): string | undefined {
  const [, name] = (cause instanceof ReferenceError && /^(\w+) is not defined$/.exec(cause.message)) || []
  return name === undefined ? undefined : `Is its import missing? import { ${name} } from 'weir-stream'`
}

const stepsOf = (kind: { readonly prototype: object }): readonly string[] =>
  Object.getOwnPropertyNames(kind.prototype).filter((name) => name !== 'constructor')

const listed = (kind: { readonly prototype: object }): string => stepsOf(kind).join(', ')

/** Of "env.source(...).count is not a function": where that step can stand. */
function stepAdvice(message: string): string | undefined {
  const [, called = '', name = ''] = /^(.*)\.(\w+) is not a function$/s.exec(message) ?? []
  if (name === '') return undefined
  if (stepsOf(DataStream).includes(name) && /keyBy|window/.test(called)) return behindKeys(name)
  if (stepsOf(KeyedStream).includes(name))
    return `${name} is a step of keyed streams: put .keyBy(record => key) before it`
  if (!/^env|keyBy\(|window\(/.test(called)) return undefined
  return (
    `Steps of a stream are ${listed(DataStream)}; behind keyBy ${listed(KeyedStream)}; ` +
    `behind window ${listed(WindowedStream)}`
  )
}

const behindKeys = (name: string): string =>
  `${name} is no step of keyed or windowed streams. Behind keyBy come ${listed(KeyedStream)}; behind ` +
  `window ${listed(WindowedStream)}; ${name} behind one of these`
