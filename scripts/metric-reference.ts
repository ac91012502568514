import { METRICS } from '#runtime/contract/metric-names'

/** The page of all metrics of a JobManager. */
export function metricReference(): string {
  const rows = Object.entries(METRICS).map(
    ([name, { help, labels }]) => `| \`${name}\` | ${labels.map((l) => `\`${l}\``).join(', ')} | ${help} |`,
  )
  return [
    '# Metrics of a JobManager',
    '',
    'Prometheus text at `/metrics` of the REST port (8081), no token needed. All carry `namespace` and',
    '`job`. Gauges; those that end in `_total` only grow while a JobManager leads.',
    'Made from `runtime/contract/metric-names.ts` by `npm run gen`.',
    '',
    '| metric | more labels | meaning |',
    '| --- | --- | --- |',
    ...rows,
    '',
  ].join('\n')
}
