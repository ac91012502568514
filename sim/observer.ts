/**
 * What the product's own log lines say about rare states. It depends on their texts (log-texts.ts,
 * which a test compares with the product) and on the names and values of their fields, which
 * nothing compares: when one of those changes, its state is no longer seen, and a run of many seeds
 * fails because it is reached too rarely.
 */
import { MESSAGES, PARTS } from './log-texts.ts'
import { errorOf, type LogLine } from './logger.ts'
import type { RareState } from './rare-states.ts'

type Fields = LogLine['fields']
type Found = RareState | undefined

/** By the message of a line. */
const STATES: Readonly<Record<string, (fields: Fields, line: LogLine) => Found>> = {
  [MESSAGES.deposed]: ({ kind, otherEpoch }) => {
    if (otherEpoch === undefined) return 'log freed'
    if (kind === 'CHECKPOINT' || kind === 'SAVEPOINT') return 'deposed CHECKPOINT'
    return kind === 'CLOSE' ? 'deposed CLOSE' : 'deposed DEPLOY'
  },
  [MESSAGES.appendCertain]: ({ outcome }) => (outcome === 'own' ? 'doubt settled' : 'doubt lost'),
  [MESSAGES.epochContested]: () => 'epoch contested',
  [MESSAGES.overInDoubt]: () => 'term over in doubt',
  [MESSAGES.orphansDeleted]: () => 'orphans deleted',
  [MESSAGES.notCompleted]: ({ kind, reason }) => {
    if (kind === 'savepoint') return 'savepoint failed'
    if (reason === 'CHECKPOINT_EXPIRED') return 'expired'
    if (reason === 'FINALIZE_CHECKPOINT_FAILURE') return 'finalize failed'
    return reason === 'TASK_FAILURE' ? 'aborted by failure' : 'declined'
  },
  [MESSAGES.adopted]: () => 'adopted',
  [MESSAGES.gaveUp]: () => 'gave up',
  [MESSAGES.jobPhase]: phaseState,
  [MESSAGES.attemptFailed]: (_fields, line) => {
    const message = errorOf(line)?.message ?? ''
    if (message.includes(PARTS.runsSomethingElse)) return 'runs something else'
    if (message.includes(PARTS.noProgress)) return 'no progress'
    if (message.startsWith(PARTS.sinksDidNotCommit)) return 'commits without progress'
    return message.includes(PARTS.leaves) ? 'handed over' : undefined
  },
  [MESSAGES.candidate]: ({ from, to }) => {
    if (from === 'Opening' && to === 'Preparing') return 'lease lost while opening'
    return from === 'Leading' && to === 'Preparing' ? 'lease lost while leading' : undefined
  },
  [MESSAGES.commitSkipped]: () => 'commit skipped',
}

const { planChanged, doesNotRun, runsTwice, runsInPart, goesOn, toCommit } = PARTS
const ADOPTION_REFUSED = new RegExp(
  `\\((${planChanged}|only .*${runsInPart}|attempt .*${doesNotRun}|${runsTwice})`,
)
/** Adopted to end. A stop that was held while looking goes from Looking to Stopping as well. */
const ADOPTED_TO_COMMIT = new RegExp(`${goesOn}\\d+${toCommit}`)

/** By the step of a deployment. */
const LOST_WHILE: Readonly<Record<string, RareState>> = {
  verifying: 'lost while verifying',
  logging: 'lost while logging',
  restoring: 'lost while restoring',
}

function phaseState({ from, step, phase, message }: Fields): Found {
  const text = String(message)
  if (from === 'Looking') {
    if (phase === 'Stopping') return ADOPTED_TO_COMMIT.test(text) ? 'adopted an ending run' : undefined
    return ADOPTION_REFUSED.test(text) ? 'adoption refused' : undefined
  }
  if (phase === 'Closing')
    return text.startsWith(PARTS.everythingCommitted) ? 'ending carried out' : undefined
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
    if (message === MESSAGES.jobPhase) this.#phase = String(phase)
    if (message !== MESSAGES.completed) return undefined
    if (this.#phase === 'Restarting') return 'settled after failure'
    return kind === 'savepoint' ? 'savepoint completed' : undefined
  }

  #mended(line: LogLine): Found {
    if (errorOf(line)?.code === 'STO_DENIED') this.#wasDenied = true
    const { message, fields } = line
    const isWell =
      (message === MESSAGES.jobPhase && fields['phase'] === 'Running') || fields['to'] === 'Leading'
    if (!this.#wasDenied || !isWell) return undefined
    this.#wasDenied = false
    return 'denied and mended'
  }
}
