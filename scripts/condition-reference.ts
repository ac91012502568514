import { CONDITION_TYPES, REASONS } from '#operator/api/conditions'

const rows = (of: Readonly<Record<string, string>>): string[] =>
  Object.entries(of).map(([name, meaning]) => `| \`${name}\` | ${meaning} |`)

/** The page of all conditions of StreamJobs and Savepoints and of their reasons. */
export function conditionReference(): string {
  return [
    '# Conditions and reasons',
    '',
    'What `status.conditions` of a StreamJob and of a Savepoint may say. The same reasons are used by',
    'Events; the message has the values. Made from `operator/api/conditions.ts` by `npm run gen`.',
    '',
    '| condition | holds when |',
    '| --- | --- |',
    ...rows(CONDITION_TYPES),
    '',
    '| reason | meaning |',
    '| --- | --- |',
    ...rows(REASONS),
    '',
  ].join('\n')
}
