import { streamJobSpec, type StreamJobSpec } from '#operator/api/v1alpha1/stream-job'
import { operatorDefaults, type OperatorDefaults } from '#operator/config'
import type { JobRef, RunContext } from '#operator/resources/run-context'

/** Test objects by modifiers: a row of a test shows only the difference. */
export const JOB: JobRef = { namespace: 'shop', name: 'orders', uid: '11111111-2222-3333-4444-555555555555' }

export const spec = (over: object = {}): StreamJobSpec =>
  streamJobSpec.parse({ job: { inline: 'export default 1' }, ...over })

export const defaults = (over: object = {}): OperatorDefaults =>
  operatorDefaults.parse({
    image: 'weir:1',
    storage: { s3: { bucket: 'shared', prefix: 'weir', credentialsSecret: 's3-root' } },
    ...over,
  })

export const runContext = (over: Partial<RunContext> = {}): RunContext => ({
  job: JOB,
  cluster: 'cluster-uid',
  run: 3,
  image: 'weir:1',
  spec: spec(),
  defaults: defaults(),
  tokenSecret: 'orders-weir-token-abc',
  module: { kind: 'source', source: 'export default 1' },
  ...over,
})
