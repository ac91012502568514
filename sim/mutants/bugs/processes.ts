import type { Bug } from '../bug.ts'

const TASK_MANAGER = 'runtime/task-manager/task-manager.ts'
const EXECUTION = 'runtime/task-manager/execution.ts'
const UPLOADER = 'runtime/task-manager/state-uploader.ts'

/** TaskManagers and what passes between them and the leader. */
export const PROCESS_BUGS: readonly Bug[] = [
  {
    name: 'registry-silence-unnoticed',
    breaks: 'a TaskManager that says nothing is lost',
    patches: [
      {
        file: 'runtime/job-manager/task-manager-registry.ts',
        find: 'if (now - entry.lastHeardMs <= this.#timing.silenceMs) continue',
        replace: 'if (now - entry.lastHeardMs <= this.#timing.silenceMs * 1e6) continue',
      },
    ],
    test: 'test/unit/job-manager/task-manager-registry.test.ts',
    because: 'checkpoints that nobody acknowledges expire, and after some of them the job restarts',
  },
  {
    name: 'task-manager-obeys-deposed-leader',
    breaks: 'commands of a lower epoch are refused',
    patches: [
      {
        file: TASK_MANAGER,
        find: "if (message.epoch < this.#epoch && message.type !== 'welcome')",
        replace: 'if (false)',
      },
      {
        file: TASK_MANAGER,
        find: 'if (this.#closed || epoch < this.#epoch) return',
        replace: 'if (this.#closed) return',
      },
    ],
    test: 'test/unit/task-manager/task-manager.test.ts',
    because: 'barriers and permits carry the epoch, and heartbeats tell the leader what runs',
  },
  {
    name: 'task-manager-deploys-beside',
    breaks: 'the execution before is gone before the next starts',
    patches: [
      {
        file: TASK_MANAGER,
        find: 'await this.#execution?.cancel()\n    if (this.#closed) return',
        replace: 'if (this.#closed) return',
      },
    ],
  },
  {
    name: 'task-manager-answers-old-leader',
    breaks: 'adopted tasks report to the leader that adopted them',
    patches: [
      {
        file: TASK_MANAGER,
        find: 'this.#owner = link\n      execution.adopt(epoch)',
        replace: 'execution.adopt(epoch)',
      },
    ],
    test: 'test/unit/task-manager/task-manager.test.ts',
    because: 'checkpoints that nobody acknowledges expire, and after some of them the job restarts',
  },
  {
    name: 'task-manager-never-gives-up',
    breaks: 'tasks that no leader came back for stop',
    patches: [
      {
        file: TASK_MANAGER,
        find: 'clock.after(orphanTimeoutMs, ()',
        replace: 'clock.after(orphanTimeoutMs * 1e6, ()',
      },
    ],
    test: 'test/unit/task-manager/task-manager.test.ts',
    because: 'tasks without a leader can do no harm; they only waste their slots',
  },
  {
    name: 'execution-finished-told-once',
    breaks: 'a leader that adopts is told which subtasks have finished',
    patches: [
      {
        file: EXECUTION,
        find: 'for (const subtask of this.#finished.values()) send',
        replace: 'for (const subtask of []) send',
      },
    ],
  },
  {
    name: 'execution-ready-without-links',
    breaks: 'tasks are ready when their data connections are up',
    patches: [{ file: EXECUTION, find: 'new Set([LINKS, ...', replace: 'new Set([...' }],
    test: 'test/unit/task-manager/execution.test.ts',
    because: 'a peer refuses records before it has accepted the connection',
  },
  {
    name: 'execution-stop-barrier-unseen',
    breaks: 'a leader is told of tasks behind a stop barrier that they have stopped',
    patches: [
      { file: EXECUTION, find: "if (barrier.stop) this.#dispatch({ type: 'StopBarrier' })", replace: '' },
    ],
    test: 'test/unit/task-manager/execution.test.ts',
    because: 'checkpoints that nobody acknowledges expire, and after some of them the job restarts',
  },
  {
    name: 'upload-acked-before-stored',
    breaks: 'a snapshot is acknowledged when it is stored',
    patches: [
      {
        file: UPLOADER,
        find: 'await this.#create(key, bytes)',
        replace: 'void this.#create(key, bytes).catch(() => undefined)',
      },
    ],
  },
  {
    name: 'upload-extends-newest-chain',
    breaks: "a delta extends the files of the barrier's base, not those of a checkpoint that failed",
    patches: [
      {
        file: UPLOADER,
        find: 'this.#stored.get(subtaskKey(subtask))?.get(barrier.base)',
        replace: '[...(this.#stored.get(subtaskKey(subtask))?.values() ?? [])].at(-1)',
      },
    ],
    test: 'test/unit/task-manager/state-uploader.test.ts',
    because: 'files of a checkpoint that failed are found when the manifest is made',
  },
]
