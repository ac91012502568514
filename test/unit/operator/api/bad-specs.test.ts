import { describe, expect, test } from 'vitest'
import { checkManifest } from '#operator/api/manifest'
import { BAD_SAVEPOINTS, BAD_STREAM_JOBS } from '#test/kit/bad-specs'

const specs = (['StreamJob', 'Savepoint'] as const).flatMap((kind) =>
  (kind === 'StreamJob' ? BAD_STREAM_JOBS : BAD_SAVEPOINTS).flatMap(([field, says, of]) =>
    of.map((spec) => ({ kind, field: /unknown field "(.*)"/.exec(says)?.[1] ?? field, spec })),
  ),
)

/** `spec.env[0].name` and `spec.limits[memory]`, with dots only. */
const dotted = (path: string): string => path.replaceAll(/\[(\w+)\]/g, '.$1')

describe('what the API server refuses, weir run and the operator refuse at the same field', () => {
  test.each(specs)('$kind $field $spec', ({ kind, field, spec }) => {
    const withJob = kind === 'StreamJob' ? { job: { inline: 'export default 1' }, ...spec } : spec
    const metadata = { name: 'bad' }
    const { problems } = checkManifest({ apiVersion: 'weir.dev/v1alpha1', kind, metadata, spec: withJob })
    const paths = problems.map(({ path }) => dotted(path))
    expect(paths.filter((path) => path.startsWith('spec') && dotted(field).startsWith(path))).not.toEqual([])
  })
})
