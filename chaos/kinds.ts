import type { FaultKind } from './fault.ts'
import { AIMED_FAULTS } from './faults/aimed.ts'
import { MACHINE_FAULTS } from './faults/machine.ts'
import { NETWORK_FAULTS } from './faults/network.ts'
import { PROCESS_FAULTS } from './faults/processes.ts'
import { SERVER_FAULTS } from './faults/servers.ts'
import { USER_ACTIONS } from './faults/user.ts'

/** Everything that is done to the product. */
export const KINDS: readonly FaultKind[] = [
  ...PROCESS_FAULTS,
  ...AIMED_FAULTS,
  ...NETWORK_FAULTS,
  ...SERVER_FAULTS,
  ...MACHINE_FAULTS,
  ...USER_ACTIONS,
]
