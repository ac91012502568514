import type { Bug } from '../bug.ts'

const RESTARTING = 'runtime/job-manager/phases/restarting.ts'
const STOPPING = 'runtime/job-manager/phases/stopping.ts'
const CLOSING = 'runtime/job-manager/phases/closing.ts'
const DEPLOYING = 'runtime/job-manager/phases/deploying.ts'
const EXECUTING = 'runtime/job-manager/phases/executing.ts'
const LOOKING = 'runtime/job-manager/phases/looking.ts'
const ADOPTION = 'runtime/job-manager/adoption.ts'
const JOB_STOPS = 'runtime/job-manager/job-stops.ts'
const CANDIDATE = 'runtime/job-manager/candidate-state.ts'

/** The life of a job under one leader, and how leaders follow each other. */
export const JOB_BUGS: readonly Bug[] = [
  {
    name: 'job-restarts-unsettled',
    breaks: 'a restart waits for the checkpoint whose record may be in the log',
    patches: [
      {
        file: RESTARTING,
        find: 'waits.settled && waits.logged && !delayed',
        replace: 'waits.logged && !delayed',
      },
    ],
  },
  {
    name: 'job-restarts-unlogged',
    breaks: 'a restart waits for the deployment that is being logged',
    patches: [
      {
        file: RESTARTING,
        find: 'waits.settled && waits.logged && !delayed',
        replace: 'waits.settled && !delayed',
      },
    ],
    test: 'test/unit/job-manager/job-master-deploy.test.ts',
    because: 'the next deployment has the same number, and the record serves for it',
  },
  {
    name: 'job-closes-without-commits',
    breaks: 'a run ends when every sink has committed its last checkpoint',
    patches: [{ file: STOPPING, find: 'if (missing.length > 0)', replace: 'if (false)' }],
  },
  {
    name: 'job-close-not-tried-again',
    breaks: 'a refused end of a run is written again later',
    patches: [
      {
        file: CLOSING,
        find: 'phase, message, error }, timer(retryDelay(at, phase.tries)))',
        replace: 'phase, message, error })',
      },
    ],
  },
  {
    name: 'job-ending-ignored-by-restart',
    breaks: 'a run whose end is in the log ends when its sinks have committed what they restored',
    patches: [{ file: DEPLOYING, find: 'if (ending !== undefined)', replace: 'if (false)' }],
  },
  {
    name: 'job-ending-ignored-by-adoption',
    breaks: 'a new leader carries out the end that is in the log',
    patches: [
      {
        file: LOOKING,
        find: 'return isEnding ? adoptToEnd',
        replace: 'return (isEnding as boolean) && false ? adoptToEnd',
      },
    ],
    test: 'test/unit/job-manager/job-master-failover.test.ts',
    because: 'checkpoints that nobody acknowledges expire, and after some of them the job restarts',
  },
  {
    name: 'job-idle-stop-claims-commits',
    breaks: 'the log says that output is committed only where every sink has said so',
    patches: [
      {
        file: JOB_STOPS,
        find: "outcome: { status: 'Suspended', committedUpTo: 0 }",
        replace: "outcome: { status: 'Suspended', committedUpTo: lastCheckpoint?.id ?? 0 }",
      },
    ],
  },
  {
    name: 'job-joined-stop-lost',
    breaks: 'a stop that joins another is answered with it',
    patches: [
      {
        file: STOPPING,
        find: 'StopRequested: (at, { stop }) => holdStop(at, stop)',
        replace: 'StopRequested: (at) => stay(at.state)',
      },
    ],
  },
  {
    name: 'job-heartbeat-mismatch-ignored',
    breaks: 'a TaskManager that runs something else has lost its part of the attempt',
    patches: [
      {
        file: EXECUTING,
        find: 'if (attempt === phase.attempt.id) return stay(state)',
        replace: 'return stay(state)',
      },
    ],
    test: 'test/unit/job-manager/job-master-failover.test.ts',
    because: 'checkpoints that nobody acknowledges expire, and after some of them the job restarts',
  },
  {
    name: 'job-lost-task-manager-ignored',
    breaks: 'an attempt fails with a TaskManager that it runs on',
    patches: [
      {
        file: EXECUTING,
        find: 'if (!uses(attempt, member)) return stay(at.state)',
        replace: 'return stay(at.state)',
      },
    ],
    test: 'test/unit/job-manager/job-state.test.ts',
    because: 'checkpoints that nobody acknowledges expire, and after some of them the job restarts',
  },
  {
    name: 'job-adopts-some-subtasks',
    breaks: 'tasks are adopted when every planned subtask runs',
    patches: [{ file: ADOPTION, find: 'planned.every(', replace: 'planned.some(' }],
  },
  {
    name: 'job-adopts-stopped-tasks',
    breaks: 'tasks behind a stop barrier are adopted only to end the run',
    patches: [{ file: ADOPTION, find: "(isEnding && state === 'Stopped')", replace: "state === 'Stopped'" }],
    test: 'test/unit/job-manager/adoption.test.ts',
    because: 'checkpoints that nobody acknowledges expire, and after some of them the job restarts',
  },
  {
    name: 'job-adopts-another-attempt',
    breaks: 'only tasks of the last deployment in the log are adopted',
    patches: [{ file: ADOPTION, find: 'report.attempt === deploy.attempt && ', replace: '' }],
    test: 'test/unit/job-manager/adoption.test.ts',
    because: 'TaskManagers answer an adoption with what they run',
  },
  {
    name: 'job-deploys-without-limit',
    breaks: 'a deployment without progress fails',
    patches: [
      {
        file: DEPLOYING,
        find: 'JobEffect => timer(settings.timing.noProgressMs)',
        replace: 'JobEffect => timer(settings.timing.noProgressMs * 1e6)',
      },
    ],
  },
  {
    name: 'job-commits-without-limit',
    breaks: 'last commits without progress fail the attempt',
    patches: [
      {
        file: STOPPING,
        find: 'message }, timer(settings.timing.noProgressMs))',
        replace: 'message }, timer(settings.timing.noProgressMs * 1e6))',
      },
    ],
    test: 'test/unit/job-manager/job-master-stop.test.ts',
    because: 'in the simulator only a slot that does not answer holds up commits, and it is given up',
  },
  {
    name: 'job-starts-when-one-is-ready',
    breaks: 'tasks start when every TaskManager is ready',
    patches: [
      { file: DEPLOYING, find: 'if (deployed.size < phase.attempt.members.size)', replace: 'if (false)' },
    ],
  },
  {
    name: 'candidate-keeps-its-campaign',
    breaks: 'who steps down gives the lease back',
    patches: [
      {
        file: CANDIDATE,
        find: "state: { ...state, candidate, message, error } },\n    { type: 'endCampaign' },",
        replace: 'state: { ...state, candidate, message, error } },',
      },
    ],
  },
  {
    name: 'candidate-denied-for-ever',
    breaks: 'a rotated credential mends what was denied',
    patches: [
      {
        file: CANDIDATE,
        find: "retry === 'backoff' || code === 'STO_DENIED'",
        replace: "retry === 'backoff'",
      },
    ],
  },
  {
    name: 'candidate-ignores-lost-lease',
    breaks: 'a leader whose lease is lost stops leading',
    patches: [
      {
        file: CANDIDATE,
        find: 'return withTermEnded(stepDown(at, `standing by: ${event.why}`, undefined), event.why)',
        replace: 'return stay(state)',
      },
    ],
    test: 'test/unit/job-manager/candidate-state.test.ts',
    because: 'the log fences a leader that another one follows',
  },
  {
    name: 'lease-waits-for-a-release',
    breaks: 'a lease whose holder is gone is taken when it runs out',
    patches: [
      {
        file: 'runtime/election/lease-core.ts',
        find: 'leader: holder }, now + waitMs, report)',
        replace: 'leader: holder }, now + 1e9, report)',
      },
    ],
  },
]
