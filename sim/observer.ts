import { errorOf, type LogLine } from './logger.ts'
import type { RareState } from './rare-states.ts'

type Fields = LogLine['fields']
type Found = RareState | undefined

/** What the product's own log lines say about rare states; the messages are constants there. */
const STATES: Readonly<Record<string, (fields: Fields, line: LogLine) => Found>> = {
  'coordinator deposed': ({ kind, otherEpoch }) => {
    if (otherEpoch === undefined) return 'log freed'
    if (kind === 'CHECKPOINT' || kind === 'SAVEPOINT') return 'deposed CHECKPOINT'
    return kind === 'CLOSE' ? 'deposed CLOSE' : 'deposed DEPLOY'
  },
  'log append certain': ({ outcome }) => (outcome === 'own' ? 'doubt settled' : 'doubt lost'),
  'another was faster, reading on': () => 'epoch contested',
  'term over with a record in doubt': () => 'term over in doubt',
  'files of failed checkpoints deleted': () => 'orphans deleted',
  'checkpoint not completed': ({ kind, reason }) => {
    if (kind === 'savepoint') return 'savepoint failed'
    if (reason === 'CHECKPOINT_EXPIRED') return 'expired'
    if (reason === 'FINALIZE_CHECKPOINT_FAILURE') return 'finalize failed'
    return reason === 'TASK_FAILURE' ? 'aborted by failure' : 'declined'
  },
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

const ADOPTION_REFUSED = /\((the plan has changed|only|attempt .* does not run|a subtask of)/

/** By the step of a deployment. */
const LOST_WHILE: Readonly<Record<string, RareState>> = {
  verifying: 'lost while verifying',
  logging: 'lost while logging',
  restoring: 'lost while restoring',
}

function phaseState({ from, step, phase, message }: Fields): Found {
  const text = String(message)
  if (from === 'Looking') {
    if (phase === 'Stopping') return 'adopted an ending run'
    return ADOPTION_REFUSED.test(text) ? 'adoption refused' : undefined
  }
  if (phase === 'Closing')
    return text.startsWith('everything is committed') ? 'ending carried out' : undefined
  if (phase !== 'Restarting') return undefined
  return from === 'Stopping' ? 'lost while stopping' : LOST_WHILE[String(step)]
}

/** Reads what one life of one process says. */
export class Observer {
  #phase = ''
  #wasDenied = false

  /** The rare states that this line shows to be reached. */
  read(line: LogLine): RareState[] {
    const found = [STATES[line.message]?.(line.fields, line), this.#settled(line), this.#mended(line)]
    return found.filter((state) => state !== undefined)
  }

  #settled({ message, fields: { phase, kind } }: LogLine): Found {
    if (message === 'job phase') this.#phase = String(phase)
    if (message !== 'checkpoint completed') return undefined
    if (this.#phase === 'Restarting') return 'settled after failure'
    return kind === 'savepoint' ? 'savepoint completed' : undefined
  }

  #mended(line: LogLine): Found {
    if (errorOf(line)?.code === 'STO_DENIED') this.#wasDenied = true
    const { message, fields } = line
    const isWell = (message === 'job phase' && fields['phase'] === 'Running') || fields['to'] === 'Leading'
    if (!this.#wasDenied || !isWell) return undefined
    this.#wasDenied = false
    return 'denied and mended'
  }
}
