import type { WaitView } from '#runtime/contract/rest'
import type { Advice } from './advice.ts'

export interface WaitAdvice extends Advice {
  /** What is waited for. */
  readonly what: string
}

export const WAIT_ADVICE: Readonly<Record<WaitView['kind'], WaitAdvice>> = {
  slots: {
    what: 'TaskManagers; the message says how many of the slots that are needed are there.',
    why: 'Their pods have not started (no room, no image), they died, or the parallelism is above all slots.',
    todo:
      'On a cluster the Ready condition says why a pod does not start. Otherwise more TaskManagers or ' +
      'slots, or less parallelism. `weir run` knows its slots and refuses at once.',
    page: 'task-manager-lost',
  },
  store: {
    what: 'Checkpoint storage, with what it said last.',
    why: 'It refuses, is full, or does not answer.',
    todo: 'Mend the store. The job goes on without checkpoints meanwhile, and nothing is lost.',
    page: 'store-down',
  },
  checkpoint: {
    what: 'Subtasks that have not done their part of the checkpoint in flight.',
    why: 'Back pressure, or much state. A subtask that is listed as `operator` as well never will.',
    todo:
      'Nothing while it ends by itself. Where it repeats: more parallelism for the slow step, a faster ' +
      'sink, a longer `checkpoint.timeout`.',
  },
  operator: {
    what: "A call of the job's code that does not return, with the operator, the function and the line.",
    why: 'An endless loop, a blocking call, or work on one record that is too large.',
    todo:
      'Correct the code. After a minute the attempt fails with that message and is started again, so ' +
      'that a stop or a new version gets through.',
    page: 'poison-record',
  },
  source: {
    what: 'A first file for a source that watches a place where nothing is.',
    why: 'The path is misspelt, or nothing has arrived yet.',
    todo: 'Check the path in the message. If files are still to come: nothing.',
  },
}
