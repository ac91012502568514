/** Which state of an operator takes over which stored one, and what fits none. Pure. */
import type { Manifest, StoredState } from '#runtime/contract/checkpoint-records'
import type { ExecutionPlan, PlanOperator, PlanState } from '#runtime/contract/job-plan'

/** Stored name -> name now; null: dropped. Only what does not stay as it is. */
export type RenamedStates = Readonly<Record<string, string | null>>

export interface StateMatch {
  /** By uid in the plan. */
  readonly states: Readonly<Record<string, RenamedStates>>
  /** Stored state that would be dropped, each in a sentence with what to do. */
  readonly unmatched: readonly string[]
}

/** `stored`: uid in the plan -> uid in the manifest (`matchUids`). */
export function matchStates(
  manifest: Manifest,
  plan: ExecutionPlan,
  stored: Readonly<Record<string, string>>,
): StateMatch {
  const all = manifest.vertices.flatMap((vertex) => vertex.states)
  const unmatched: string[] = []
  const states: Record<string, RenamedStates> = {}
  for (const operator of plan.vertices.flatMap((vertex) => vertex.operators)) {
    const own = all.filter((state) => state.uid === stored[operator.uid] && state.keys.length > 0)
    const { renamed, faults } = matchOperator(operator, own)
    unmatched.push(...faults)
    if (Object.keys(renamed).length > 0) states[operator.uid] = renamed
  }
  return { states, unmatched }
}

function matchOperator(operator: PlanOperator, own: readonly StoredState[]) {
  const renamed: Record<string, string | null> = {}
  const faults: string[] = []
  for (const state of own) {
    const now = successorOf(state, operator.states, own)
    if (now?.kind === state.kind) {
      if (now.name !== state.name) renamed[state.name] = now.name
      continue
    }
    renamed[state.name] = null
    faults.push(now === undefined ? vanished(operator, state) : changed(operator, state, now))
  }
  return { renamed, faults }
}

/** That of its own name goes before one that had the name once, unless it has state of its own. */
function successorOf(
  { name }: StoredState,
  declared: readonly PlanState[],
  stored: readonly StoredState[],
): PlanState | undefined {
  const same = declared.find((state) => state.name === name)
  if (same !== undefined) return same
  return declared.find(
    (state) => state.formerly.includes(name) && !stored.some((other) => other.name === state.name),
  )
}

const describe = ({ name, kind, keys, values }: StoredState): string =>
  `state ${JSON.stringify(name)} (${kind}, ${keys.join(' or ')} -> ${values.join(' or ')})`

const DROP = 'To drop what is stored, set allowNonRestoredState (weir: --allow-non-restored-state).'

function vanished({ uid, location, states }: PlanOperator, stored: StoredState): string {
  const declared = states.map(({ name }) => JSON.stringify(name)).join(', ')
  return (
    `it holds ${describe(stored)} of ${JSON.stringify(uid)}, ` +
    `which the step (${location}) does not declare; ` +
    `it has ${declared === '' ? 'no state' : declared}. Keep the name, or say what it was called: ` +
    `valueState(0, { formerly: [${JSON.stringify(stored.name)}] }). ${DROP}`
  )
}

function changed({ uid, location }: PlanOperator, stored: StoredState, now: PlanState): string {
  return (
    `it holds ${describe(stored)} of ${JSON.stringify(uid)}, which is "${now.kind}" now (${location}): ` +
    'one cannot be read as the other. Declare it as before, or give the step or the state another ' +
    `name. ${DROP}`
  )
}
