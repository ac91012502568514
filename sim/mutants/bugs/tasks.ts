import type { Bug } from '../bug.ts'

const ALIGNER = 'runtime/task/barrier-aligner.ts'
const TASK = 'runtime/task/task.ts'

/** Tasks: records, barriers and event time on their way through the job. */
export const TASK_BUGS: readonly Bug[] = [
  {
    name: 'aligner-does-not-wait',
    breaks: 'a snapshot is taken when the barrier has come through every channel',
    patches: [
      {
        file: ALIGNER,
        find: "if (this.#missing > 0) return { outcome: 'wait'",
        replace: "if (false) return { outcome: 'wait'",
      },
    ],
  },
  {
    name: 'aligner-does-not-block',
    breaks: 'nothing behind a barrier is read before the barrier has come through every channel',
    patches: [
      {
        file: ALIGNER,
        find: 'return this.#pending !== undefined && this.#delivered[channel] === true',
        replace: 'return false',
      },
    ],
  },
  {
    name: 'task-barrier-overtakes-records',
    breaks: 'records stay before the barrier that they came before',
    patches: [
      {
        file: 'runtime/task/partitioned-output.ts',
        find: 'barrier(barrier: Barrier): void {\n    this.flush()',
        replace: 'barrier(barrier: Barrier): void {',
      },
    ],
  },
  {
    name: 'task-finished-passes-no-barrier',
    breaks: 'a task that has finished passes barriers until the job ends',
    patches: [
      {
        file: TASK,
        find: 'this.#triggers.push(barrier)',
        replace: 'if (!this.#finished) this.#triggers.push(barrier)',
      },
    ],
  },
  {
    name: 'task-drain-leaves-windows',
    breaks: 'draining brings event time to its end',
    patches: [{ file: TASK, find: 'if (barrier.drain && this.chain', replace: 'if (false && this.chain' }],
  },
  {
    name: 'task-timers-not-rebuilt',
    breaks: 'timers that were restored fire',
    patches: [
      {
        file: 'runtime/state/timer-queue.ts',
        find: 'this.#context = context\n    this.#rebuild()',
        replace: 'this.#context = context',
      },
    ],
    test: 'test/unit/state/timer-service.test.ts',
    because: 'no operator of the simulated job sets timers',
  },
  {
    name: 'window-restored-panes-not-due',
    breaks: 'windows that were restored fire',
    patches: [
      {
        file: 'runtime/operators/window.ts',
        find: 'for (const pane of context.keyed.namespaces(PANES))',
        replace: 'for (const pane of [] as number[])',
      },
    ],
  },
  {
    name: 'window-forgets-event-time',
    breaks: 'what was late stays late after a restore, and no window fires twice',
    patches: [{ file: 'runtime/operators/window.ts', find: 'this.#watermarks.snapshot(),', replace: '[],' }],
    test: 'test/unit/operators/window.test.ts',
    because: 'records of the simulated job hardly ever come late just behind a restore',
  },
]
