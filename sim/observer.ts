import { errorOf, type LogLine } from './logger.ts'
import type { RareState } from './rare-states.ts'

type Fields = LogLine['fields']

/** What the product's own log lines say about rare states; the messages are constants there. */
const STATES: Readonly<Record<string, (fields: Fields, line: LogLine) => RareState | undefined>> = {
  'coordinator deposed': ({ kind, otherEpoch }) => {
    if (otherEpoch === undefined) return 'log freed'
    if (kind === 'CHECKPOINT' || kind === 'SAVEPOINT') return 'deposed CHECKPOINT'
    return kind === 'CLOSE' ? 'deposed CLOSE' : 'deposed DEPLOY'
  },
  'log append certain': ({ kind, outcome }) => {
    if (kind === 'EPOCH_OPEN' && outcome !== 'own') return 'epoch contested'
    return outcome === 'own' ? 'doubt settled' : 'doubt lost'
  },
  'term over with a record in doubt': () => 'term over in doubt',
  'checkpoint not completed': ({ kind, reason }) => {
    if (kind === 'savepoint') return 'savepoint failed'
    if (reason === 'CHECKPOINT_EXPIRED') return 'expired'
    if (reason === 'FINALIZE_CHECKPOINT_FAILURE') return 'finalize failed'
    if (reason === 'TASK_FAILURE') return 'aborted by failure'
    return String(reason).includes('DECLINED') || String(reason).includes('PREPARE') ? 'declined' : undefined
  },
  'checkpoint completed': ({ kind }) => (kind === 'savepoint' ? 'savepoint completed' : undefined),
  'adopted by a new leader': () => 'adopted',
  'no job manager came back: sources and sinks stop': () => 'gave up',
  'job phase': phaseState,
  'attempt failed': (_fields, line) => {
    const message = errorOf(line)?.message ?? ''
    if (message.includes('instead of attempt')) return 'runs something else'
    if (message.includes('made no progress')) return 'no progress'
    if (message.startsWith('Sinks did not commit')) return 'commits without progress'
    return message.includes(' leaves: ') ? 'handed over' : undefined
  },
  candidate: ({ from, to }) => {
    if (from === 'Opening' && to === 'Preparing') return 'lease lost while opening'
    return from === 'Leading' && to === 'Preparing' ? 'lease lost while leading' : undefined
  },
  'output that was committed before is gone: it is not committed again': () => 'commit skipped',
}

function phaseState({ from, step, phase }: Fields): RareState | undefined {
  if (phase !== 'Restarting')
    return from === 'Looking' && phase === 'Stopping' ? 'adopted an ending run' : undefined
  if (from === 'Stopping') return 'lost while stopping'
  if (step === 'verifying') return 'lost while verifying'
  if (step === 'logging') return 'lost while logging'
  return step === 'restoring' ? 'lost while restoring' : undefined
}

export function rareStateOf(line: LogLine): RareState | undefined {
  return STATES[line.message]?.(line.fields, line)
}
