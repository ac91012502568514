import { streamJobSpec, type StreamJobSpec } from '#operator/api/v1alpha1/stream-job'
import { operatorDefaults, type OperatorDefaults } from '#operator/config'
import { namedRedis, namedStorage } from '#operator/resources/resolved'
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

/** What a first run takes of a spec and defaults. */
export function resolved(of: {
  readonly spec: StreamJobSpec
  readonly defaults: OperatorDefaults
}): RunContext['resolved'] {
  const storage = namedStorage(JOB, of.spec, of.defaults)
  const redis = namedRedis(JOB, of.spec, of.defaults)
  if (storage === undefined) throw new Error('neither the spec nor the defaults name a storage')
  return { storage, ...(redis === undefined ? {} : { redis }) }
}

export const runContext = (over: Partial<RunContext> = {}): RunContext => {
  const base = { spec: spec(), defaults: defaults(), ...over }
  return {
    job: JOB,
    cluster: 'cluster-uid',
    run: 3,
    config: 'orders-run-3-11111111',
    image: 'weir:1',
    resolved: resolved(base),
    tokenSecret: 'orders-weir-token-abc',
    module: { kind: 'source', source: 'export default 1' },
    ...base,
  }
}
