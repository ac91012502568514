import type { WaitView } from './rest.ts'

/** `for slots: 4 of 9 are there, on 2 TaskManagers`; of code that hangs the sentence itself. */
export const textOfWait = ({ kind, message }: WaitView): string =>
  kind === 'operator' ? message : `for ${message}`
