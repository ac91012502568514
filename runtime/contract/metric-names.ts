/** Every metric of a JobManager. All carry the labels namespace and job. */
export const METRICS = {
  weir_job_leading: { help: '1 on the JobManager that leads, 0 on a standby.', labels: [] },
  weir_job_epoch: { help: 'Epoch of the leader: how often leadership changed hands.', labels: [] },
  weir_job_state: { help: '1 for the state that the job is in.', labels: ['state'] },
  weir_job_restarts_total: { help: 'Restarts under this leader.', labels: [] },
  weir_job_task_managers: { help: 'TaskManagers that are connected.', labels: [] },
  weir_job_slots: { help: 'Slots that connected TaskManagers offer.', labels: [] },
  weir_job_records_in_total: { help: 'Records read by the sources of the running attempt.', labels: [] },
  weir_job_records_out_total: { help: 'Records given to the sinks of the running attempt.', labels: [] },
  weir_job_watermark_lag_seconds: {
    help: 'How far event time at the sinks is behind the clock; absent where there is no event time.',
    labels: [],
  },
  weir_checkpoints_completed_total: {
    help: 'Completed checkpoints that this JobManager knows of.',
    labels: [],
  },
  weir_checkpoints_failed_total: { help: 'Checkpoints that did not complete under this leader.', labels: [] },
  weir_checkpoint_consecutive_failures: {
    help: 'Failed checkpoints since the last completed one.',
    labels: [],
  },
  weir_checkpoint_last_duration_seconds: {
    help: 'Trigger to log record of the last completed checkpoint.',
    labels: [],
  },
  weir_checkpoint_last_size_bytes: { help: 'State that the last completed checkpoint restores.', labels: [] },
  weir_checkpoint_last_age_seconds: {
    help: 'Time since the last checkpoint completed: what a failure now would replay.',
    labels: [],
  },
  weir_recovery_last_seconds: { help: 'Failure noticed to first record, last recovery.', labels: [] },
  weir_vertex_records_in_total: {
    help: 'Records that entered the vertex in the running attempt.',
    labels: ['vertex'],
  },
  weir_vertex_records_out_total: {
    help: 'Records that left the vertex in the running attempt.',
    labels: ['vertex'],
  },
  weir_vertex_late_dropped_total: {
    help: 'Records that came after their window had closed, in the running attempt.',
    labels: ['vertex'],
  },
  weir_vertex_bad_records_total: {
    help: 'Records that the source could not read and left out, in the running attempt.',
    labels: ['vertex'],
  },
  weir_vertex_skipped_commits_total: {
    help: 'Transactions that were committed before and whose output is gone, in the running attempt.',
    labels: ['vertex'],
  },
  weir_vertex_left_pending: {
    help: 'Prepared transactions that a fork has left to the job that it started from.',
    labels: ['vertex'],
  },
  weir_vertex_busy_ratio: {
    help: 'Share of time that the busiest subtask works, 0 to 1.',
    labels: ['vertex'],
  },
  weir_vertex_back_pressured_ratio: {
    help: 'Share of time that the most held-up subtask waits for its outputs, 0 to 1.',
    labels: ['vertex'],
  },
} as const
export type MetricName = keyof typeof METRICS
