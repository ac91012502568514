/** Which state of an operator takes over which stored one, and what fits none. Pure. */
import type { Manifest, StoredState } from '#runtime/contract/checkpoint-records'
import type { ExecutionPlan, PlanOperator, PlanState } from '#runtime/contract/job-plan'
import { UNNAMED_SCHEMA } from '#runtime/state/evolution'

/** What becomes of a stored state. */
export interface TakenState {
  readonly name: string
  /** That it was stored with, where its values are to be converted (state/evolution.ts). */
  readonly convertFrom?: number | undefined
}

/** By stored name; null: dropped. Only what does not stay as it is. */
export type ChangedStates = Readonly<Record<string, TakenState | null>>

export interface StateMatch {
  /** By uid in the plan. */
  readonly states: Readonly<Record<string, ChangedStates>>
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
  const states: Record<string, ChangedStates> = {}
  for (const operator of plan.vertices.flatMap((vertex) => vertex.operators)) {
    const own = all.filter((state) => state.uid === stored[operator.uid] && state.keys.length > 0)
    const { changes, faults } = matchStep(operator, own)
    unmatched.push(...faults)
    if (Object.keys(changes).length > 0) states[operator.uid] = changes
  }
  return { states, unmatched }
}

/** Where a step's state is declared. */
export type StatefulStep = Pick<PlanOperator, 'uid' | 'location' | 'states'>

/** `own`: what is stored of the step's states. */
export function matchStep(
  step: StatefulStep,
  own: readonly StoredState[],
): { readonly changes: ChangedStates; readonly faults: readonly string[] } {
  const changes: Record<string, TakenState | null> = {}
  const faults: string[] = []
  for (const stored of own) {
    const found = successorOf(stored, step, own)
    if ('fault' in found) {
      changes[stored.name] = null
      faults.push(found.fault)
      continue
    }
    const { now } = found
    const convertFrom = isToConvert(stored, now) ? stored.version : undefined
    if (now.name !== stored.name || convertFrom !== undefined)
      changes[stored.name] = { name: now.name, convertFrom }
  }
  return { changes, faults }
}

const isToConvert = (stored: StoredState, now: PlanState): boolean =>
  stored.version !== now.version ||
  (now.schema !== undefined && (now.schema === UNNAMED_SCHEMA || now.schema !== stored.schema))

/** That of its own name goes before one that had the name once, unless it has state of its own. */
function successorOf(
  stored: StoredState,
  step: StatefulStep,
  own: readonly StoredState[],
): { readonly now: PlanState } | { readonly fault: string } {
  const now =
    step.states.find(({ name }) => name === stored.name) ??
    step.states.find(
      ({ name, formerly }) => formerly.includes(stored.name) && !own.some((other) => other.name === name),
    )
  if (now === undefined) return { fault: vanished(step, stored) }
  const fault = misfit(step, stored, now)
  return fault === undefined ? { now } : { fault }
}

const describe = ({ name, kind, keys, values }: StoredState): string =>
  `state ${JSON.stringify(name)} (${kind}, ${keys.join(' or ')} -> ${values.join(' or ')})`

const DROP = 'To drop what is stored, set allowNonRestoredState (weir: --allow-non-restored-state).'

function vanished({ uid, location, states }: StatefulStep, stored: StoredState): string {
  const declared = states.map(({ name }) => JSON.stringify(name)).join(', ')
  return (
    `it holds ${describe(stored)} of ${JSON.stringify(uid)}, ` +
    `which the step (${location}) does not declare; ` +
    `it has ${declared === '' ? 'no state' : declared}. Keep the name, or say what it was called: ` +
    `valueState(0, { formerly: [${JSON.stringify(stored.name)}] }). ${DROP}`
  )
}

/** Why `now` cannot have what is stored; nothing: it can. */
function misfit({ uid, location }: StatefulStep, stored: StoredState, now: PlanState): string | undefined {
  const it = `it holds ${describe(stored)} of ${JSON.stringify(uid)}`
  if (now.kind !== stored.kind)
    return (
      `${it}, which is "${now.kind}" now (${location}): one cannot be read as the other. ` +
      `Declare it as before, or give the step or the state another name. ${DROP}`
    )
  if (now.version < stored.version)
    return (
      `${it}, stored by version ${stored.version} of the state; the job has version ${now.version} ` +
      `(${location}). Run the newer version of the job. ${DROP}`
    )
  if (isOfAnotherKind(stored, now))
    return (
      `${it}, whose default value is of kind ${now.holds} now (${location}). Say how the old values ` +
      `become new ones: { version: ${now.version + 1}, migrate: (stored) => ... }. ${DROP}`
    )
  return undefined
}

/** A schema says better than the default value what the values are. */
const isOfAnotherKind = ({ version, values }: StoredState, now: PlanState): boolean =>
  now.version === version &&
  now.schema === undefined &&
  now.holds !== undefined &&
  values.length > 0 &&
  !values.includes(now.holds)
