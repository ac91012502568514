/**
 * Tests of jobs and of their steps, with any test runner: `import { runJob, harness } from
 * 'weir-stream/testing'`. Nothing else of this folder is promised to stay.
 */
export { at, type TimedValue } from './scripted-source.ts'
export { runJob, type JobResult, type RunJobOptions, type SourceInput } from './run-job.ts'
export { harness, type StateValues, type StepHarness } from './harness.ts'
