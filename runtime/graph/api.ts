/**
 * Everything a job can import from 'weir-stream'; runtime/index.ts is this, and the loader gives it
 * to job modules.
 */
export { defineJob, type JobContext, type JobDefinition } from './job-definition.ts'
export type { Environment } from './environment.ts'
export type { DataStream, StreamEnd } from './data-stream.ts'
export type { KeyedStream, RunningAggregator } from './keyed-stream.ts'
export type { EvolvingOptions, StatefulOptions } from './step-options.ts'
export type { EvolutionOptions } from '#runtime/state/evolution'
export type { StandardSchema } from '#runtime/base/standard-schema'
export { sideOutput, type SideOutput } from '#runtime/element/side-output'
export type { Aggregator } from '#runtime/state/aggregator'
export type {
  Source,
  SourceContext,
  SplitDiscovery,
  SplitOutput,
  SplitReader,
} from '#runtime/connectors/source'
export type {
  CommitOutcome,
  DeliveryGuarantee,
  Sink,
  SinkContext,
  SinkWriter,
  TransactionId,
} from '#runtime/connectors/sink'
export { simpleSource, type SimpleRecord, type SimpleSourceOptions } from '#runtime/connectors/simple/source'
export { transactionalSink, type TransactionalSinkOptions } from '#runtime/connectors/transactional/sink'
export type { PollResult, Receiver } from '#runtime/element/receiver'
export type { Sync } from '#runtime/base/synchronous'
export type { Duration } from '#runtime/base/units'
export type { Key } from '#runtime/element/key'
export { WeirError, type ErrorCode } from '#runtime/base/errors'
export { generator, type GeneratorOptions } from '#runtime/connectors/generator/source'
export { blackhole, type BlackholeOptions, type BlackholeTotals } from '#runtime/connectors/blackhole/sink'
export { collect } from '#runtime/connectors/collect/sink'
export { print, type PrintOptions } from '#runtime/connectors/print/sink'
export type { WindowedStream, WindowResult, WindowStepOptions } from './windowed-stream.ts'
export {
  tumbling,
  sliding,
  type Window,
  type SlidingWindows,
  type TumblingOptions,
  type SlidingOptions,
} from '#runtime/time/window'
export {
  boundedOutOfOrder,
  monotonous,
  type WatermarkStrategy,
  type WatermarkOptions,
} from '#runtime/time/watermark-strategy'
export type { ProcessContext, ProcessFunctions } from '#runtime/operators/process'
export {
  valueState,
  listState,
  mapState,
  reducingState,
  aggregatingState,
  type StateOptions,
  type TypeWitness,
} from '#runtime/state/descriptors'
export type { ValueState, ListState, MapState, ReducingState, AggregatingState } from '#runtime/state/handles'
export type { Timers, FiredTimer } from '#runtime/state/timer-service'
export { type } from './type-witness.ts'
export {
  files,
  type BadLine,
  type JsonlOptions,
  type ReadFilesOptions,
} from '#runtime/connectors/files/index'
