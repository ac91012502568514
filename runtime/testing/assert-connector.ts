import type { Sink } from '#runtime/connectors/sink'
import type { Source } from '#runtime/connectors/source'
import { checkConnector } from '#runtime/graph/validate'
import { assertSink, checkSinkOptions, type SinkCheck } from './assert-sink.ts'
import { expectCall } from './checked-call.ts'
import { assertSource, type SourceCheck } from './assert-source.ts'

/**
 * Checks a source or a sink of one's own against its contract, in the thread of a test: a source is
 * killed between its polls and read on from what it stored; a sink goes through checkpoints that
 * fail, restores, rewinds, forks, other parallelisms, and deaths before and after each of its
 * calls. A sink needs `record` and `visible`; what it wrote in earlier checks may stay.
 * @throws {WeirError} USR_FAILED naming the rule that is broken, and what was seen; CFG_INVALID
 *   when the options cannot judge it
 */
export function assertConnector(source: Source<any>, options?: SourceCheck): Promise<void>
export function assertConnector<T>(sink: Sink<T>, options: SinkCheck<T>): Promise<void>
export async function assertConnector(
  connector: Source<any> | Sink<any>,
  options: SourceCheck | SinkCheck<any> = {},
): Promise<void> {
  const expected = 'a source, or a sink with { record, visible }'
  expectCall(typeof connector === 'object' && connector !== null, 'assertConnector', connector, expected)
  const isSink = 'createWriter' in connector && ('visible' in options || !('createReader' in connector))
  if (!isSink) {
    checkConnector('assertConnector', 'source', connector)
    return assertSource(connector as Source<any>, options as SourceCheck)
  }
  checkSinkOptions(options as SinkCheck<any>)
  return assertSink(connector as Sink<any>, options as SinkCheck<any>)
}
