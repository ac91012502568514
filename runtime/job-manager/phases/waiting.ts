/** WaitingForSlots: deploys as soon as there are enough. */
import type { Handlers } from '../job-event.ts'
import type { PhaseOf } from '../job-phase.ts'
import { deployOrWait } from '../job-steps.ts'
import { stopIdle } from '../job-stops.ts'
import { STRAYS } from './executing.ts'

export const WAITING: Handlers<PhaseOf<'WaitingForSlots'>> = {
  ...STRAYS,
  Registered: deployOrWait,
  Lost: deployOrWait,
  Leaving: deployOrWait,
  StopRequested: (at, { stop }) => stopIdle(at, stop),
}
