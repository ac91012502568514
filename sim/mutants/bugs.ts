import type { Bug } from './bug.ts'
import { CHECKPOINT_BUGS } from './bugs/checkpoints.ts'
import { JOB_BUGS } from './bugs/job.ts'
import { LOG_BUGS } from './bugs/log.ts'
import { OUTPUT_BUGS } from './bugs/output.ts'
import { PROCESS_BUGS } from './bugs/processes.ts'
import { STATE_BUGS } from './bugs/state.ts'
import { TASK_BUGS } from './bugs/tasks.ts'

export const BUGS: readonly Bug[] = [
  ...LOG_BUGS,
  ...CHECKPOINT_BUGS,
  ...JOB_BUGS,
  ...PROCESS_BUGS,
  ...TASK_BUGS,
  ...STATE_BUGS,
  ...OUTPUT_BUGS,
]
