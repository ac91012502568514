/** WaitingForSlots: deploys as soon as there are enough. */
import type { Handlers } from '../job-event.ts'
import type { PhaseOf } from '../job-phase.ts'
import { deployOrWait } from '../job-steps.ts'
import { stopIdle } from '../job-stops.ts'
import { STRAYS } from './executing.ts'

export const WAITING: Handlers<PhaseOf<'WaitingForSlots'>> = {
  ...STRAYS,
  Registered: (at) => deployOrWait(at),
  Lost: (at) => deployOrWait(at),
  Leaving: (at) => deployOrWait(at),
  StopRequested: (at, { stop }) => stopIdle(at, stop),
}
