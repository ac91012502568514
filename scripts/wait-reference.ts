import { cell, todoText } from './advice/advice.ts'
import { WAIT_ADVICE } from './advice/wait-advice.ts'

/** The page of all that a job may wait for. */
export function waitReference(): string {
  return [
    '# What a job waits for',
    '',
    'Nothing waits in silence for longer than two seconds: `waits` in `/overview`, a line of `weir status`,',
    'and `weir run` say what is waited for, and since when. The kinds, made from `scripts/advice` by',
    '`npm run gen`:',
    '',
    '| kind | what is waited for | why | what to do |',
    '| --- | --- | --- | --- |',
    ...Object.entries(WAIT_ADVICE).map(
      ([kind, advice]) =>
        `| \`${kind}\` | ${[advice.what, advice.why, todoText(advice, '../')].map(cell).join(' | ')} |`,
    ),
    '',
  ].join('\n')
}
