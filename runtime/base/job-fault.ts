import { WeirError } from './errors.ts'

/**
 * A mistake in the job's code that every try meets again: no restart mends it. Who knows the
 * operator, the record and the line adds them (operators/user-code.ts).
 */
export class JobFault extends WeirError {
  constructor(message: string, cause?: unknown) {
    super('USR_FAILED', message, { retry: 'never', ...(cause === undefined ? {} : { cause }) })
  }
}
