import { CONDITION_TYPES, REASONS, type Reason } from '#operator/api/conditions'
import { cell, todoText } from './advice/advice.ts'
import { REASON_ADVICE } from './advice/reason-advice.ts'

const row = (reason: Reason): string => {
  const advice = REASON_ADVICE[reason]
  const cells = [REASONS[reason], advice.why, todoText(advice, '../')]
  return `| \`${reason}\` | ${cells.map(cell).join(' | ')} |`
}

/** The page of all conditions of StreamJobs and Savepoints and of their reasons. */
export function conditionReference(): string {
  return [
    '# Conditions and reasons',
    '',
    'What `status.conditions` of a StreamJob and of a Savepoint may say. The same reasons are used by',
    'Events; the message has the values. Made from `operator/api/conditions.ts` and `scripts/advice` by',
    '`npm run gen`. NAME is the StreamJob.',
    '',
    '| condition | holds when |',
    '| --- | --- |',
    ...Object.entries(CONDITION_TYPES).map(([name, meaning]) => `| \`${name}\` | ${meaning} |`),
    '',
    '| reason | what happened | why | what to do |',
    '| --- | --- | --- | --- |',
    ...(Object.keys(REASONS) as Reason[]).map(row),
    '',
  ].join('\n')
}
