import { expect, test } from 'vitest'
import type { ErrorData } from '#runtime/base/errors'
import type { JobFacts } from '#runtime/contract/rest'
import { outcomeOf } from '#cli/local/job-outcome'

const error = (code: ErrorData['code'], retry: ErrorData['retry']): ErrorData => ({
  code,
  retry,
  message: `${code} in words`,
  context: {},
})
const facts = (state: JobFacts['state'], of?: ErrorData) =>
  ({ state, message: 'a message', error: of }) as JobFacts

test('a final state is the outcome, with the error where there is one', () => {
  expect(outcomeOf(facts('Finished'), true)).toMatchObject({ state: 'Finished', message: 'a message' })
  expect(outcomeOf(facts('Failed', error('USR_FAILED', 'restart-job')), true)).toMatchObject({
    state: 'Failed',
    message: 'USR_FAILED in words',
  })
})

test.each<[what: string, given: JobFacts, hasRun: boolean, state: string | undefined]>([
  ['refused credentials before it ran', facts('Created', error('STO_DENIED', 'never')), false, 'Failed'],
  [
    'what cannot be retried before it ran',
    facts('Deploying', error('CKP_RESTORE', 'never')),
    false,
    'Failed',
  ],
  [
    'what passes by itself before it ran',
    facts('Created', error('STO_UNAVAILABLE', 'backoff')),
    false,
    undefined,
  ],
  ['refused credentials after it ran', facts('Restarting', error('STO_DENIED', 'never')), true, undefined],
  ['no error', facts('Deploying'), false, undefined],
])('%s', (_what, given, hasRun, state) => {
  expect(outcomeOf(given, hasRun)?.state).toBe(state)
})
