/**
 * Planted bugs, one at a time: each breaks a rule of the protocol that the simulation must be able
 * to notice. They live in the simulated surroundings, not in the product.
 */
export const MUTATIONS = {
  'skip-epoch-open': 'a new leader restores from what it read before its epoch was open',
  'restore-before-settled': 'the restore point of the next attempt is chosen while an append may still land',
  'reuse-outside-base': 'tasks build on their newest snapshot instead of on the base that the barrier names',
  'ack-before-upload': 'tasks acknowledge before their state is stored',
  'drop-fence-check': 'the store overwrites log records instead of refusing to create them twice',
  'commit-before-log': 'sinks are told to commit before the record is in the log',
  'barrier-by-id-alone':
    'tasks tell barriers apart by id alone, and adopted ids are not reported either (each alone would be enough to keep cuts apart)',
  'ignore-adopted-ids':
    'a leader that adopts an attempt numbers its checkpoints as if the attempt had seen none of the earlier leader’s',
  'expire-after-append': 'a checkpoint whose append takes long is aborted and its transactions rolled back',
  'commit-on-savepoint': 'sinks commit on savepoints',
  'rollback-on-abort': 'sinks roll back prepared transactions when a checkpoint is aborted',
  'forget-prepared': 'sinks do not keep prepared transactions in their state',
  'no-alignment': 'tasks take their snapshot at the first barrier',
  'snapshot-after-records': 'sources take their snapshot a little after the barrier',
} as const
export type Mutation = keyof typeof MUTATIONS

export function isMutation(text: string): text is Mutation {
  return Object.hasOwn(MUTATIONS, text)
}
