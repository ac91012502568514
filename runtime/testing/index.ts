/**
 * Tests of jobs, of their steps and of connectors, with any test runner: `import { runJob, harness,
 * assertConnector } from 'weir-stream/testing'`. Nothing else of this folder is promised to stay.
 */
export { at, type TimedValue } from './scripted-source.ts'
export { runJob, type JobResult, type RunJobOptions, type SourceInput } from './run-job.ts'
export { harness, type StateValues, type StepHarness } from './harness.ts'
export { assertConnector } from './assert-connector.ts'
export type { SinkCheck } from './assert-sink.ts'
export type { SourceCheck } from './assert-source.ts'
