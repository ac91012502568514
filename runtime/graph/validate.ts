import { WeirError } from '#runtime/base/errors'
import { member } from '#runtime/base/member'
import { preview } from '#runtime/base/preview'
import type { LogicalGraph, LogicalNode } from './logical-graph.ts'

const UID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$/

/** @throws {WeirError} CFG_GRAPH with every problem of the graph, each with the user's line. */
export function validateGraph(graph: LogicalGraph): void {
  const problems = [
    ...noSink(graph),
    ...duplicates(graph),
    ...formerNames(graph),
    ...parallelism(graph),
    ...noTimestamps(graph),
  ]
  const [first] = problems
  if (first === undefined) return
  throw new WeirError(
    'CFG_GRAPH',
    problems.length === 1
      ? first
      : `The job graph has ${problems.length} problems:\n- ${problems.join('\n- ')}`,
    {
      context: { problems },
    },
  )
}

/** @throws {WeirError} CFG_GRAPH when `uid` cannot name an operator. */
export function checkUid(uid: unknown, location: string): asserts uid is string {
  if (typeof uid === 'string' && UID.test(uid)) return
  throw new WeirError(
    'CFG_GRAPH',
    `${location}: ${JSON.stringify(uid) ?? typeof uid} is not a uid. ` +
      'Expected 1 to 100 letters, digits, "_" or "-", beginning with a letter or digit: the uid is the ' +
      'first argument of sources, sinks and stateful steps, and their state is found again by it.',
  )
}

const CONNECTORS = {
  source: {
    functions: ['createDiscovery', 'createReader'],
    examples: 'files.lines(path), files.jsonl(path), generator({ make }) or simpleSource({ name, read })',
  },
  sink: {
    functions: ['createWriter'],
    examples: 'files.jsonl(path), print() or transactionalSink({ name, prepare, commit })',
  },
} as const

/** @throws {WeirError} CFG_GRAPH when `given` is no source, or no sink. */
export function checkConnector(what: string, kind: keyof typeof CONNECTORS, given: unknown): void {
  const has = (of: keyof typeof CONNECTORS): boolean =>
    CONNECTORS[of].functions.every((name) => typeof member(given, name) === 'function')
  if (has(kind)) return
  const other = kind === 'source' ? 'sink' : 'source'
  const found = has(other) ? `${String(member(given, 'description'))}, which is a ${other}` : preview(given)
  throw new WeirError('CFG_GRAPH', `${what} got ${found}. Expected a ${kind}: ${CONNECTORS[kind].examples}.`)
}

/** How each method that takes functions of the user is called. */
const USAGE = {
  keyBy: 'keyBy(record => key)',
  assignTimestamps: 'assignTimestamps(record => milliseconds, strategy)',
  reduce: 'reduce(uid, (a, b) => c)',
  sum: 'sum(uid, record => number)',
  min: 'min(uid, record => number)',
  max: 'max(uid, record => number)',
  aggregate: 'aggregate(uid, { create, add, result })',
  process: 'process(uid, { onRecord(record, context) { ... } })',
  'window.reduce': 'reduce((a, b) => c)',
  'window.sum': 'sum(record => number)',
  'window.min': 'min(record => number)',
  'window.max': 'max(record => number)',
  'window.aggregate': 'aggregate({ create, add, merge, result })',
} as const
export type UserCall = keyof typeof USAGE

/** @throws {WeirError} CFG_GRAPH naming what of `functions` is no function. */
export function checkFunctions(
  call: UserCall,
  functions: Readonly<Record<string, unknown>>,
  { uid, location }: { readonly uid?: string; readonly location: string },
): void {
  for (const [name, fn] of Object.entries(functions))
    if (typeof fn !== 'function')
      throw new WeirError(
        'CFG_GRAPH',
        `${location}: ${call}${uid === undefined ? '' : ` "${uid}"`}: ${name} is ${preview(fn)}, ` +
          `not a function. Expected ${USAGE[call]}.`,
      )
}

/** @throws {WeirError} CFG_GRAPH naming the state that is no descriptor. */
export function checkStates(states: unknown, uid: string, location: string): void {
  for (const [name, descriptor] of Object.entries(states ?? {}))
    if (typeof member(descriptor, 'bind') !== 'function')
      throw new WeirError(
        'CFG_GRAPH',
        `${location}: process "${uid}": state "${name}" is ${preview(descriptor)}. Expected what ` +
          'valueState(0), listState(), mapState(), reducingState or aggregatingState gives.',
      )
}

/** @throws {WeirError} CFG_GRAPH when two states of a step claim the same stored one. */
export function checkFormerStates(
  states: readonly { readonly name: string; readonly formerly: readonly string[] }[],
  uid: string,
  location: string,
): void {
  const takenBy = new Map(states.map(({ name }) => [name, name]))
  for (const { name, formerly } of states)
    for (const former of formerly) {
      const other = takenBy.get(former)
      if (other !== undefined)
        throw new WeirError(
          'CFG_GRAPH',
          `${location}: process "${uid}": state "${name}" was formerly "${former}", which ` +
            `${other === former ? 'is also a state of this step' : `"${other}" was too`}. ` +
            'Only one of them can have what is stored.',
        )
      takenBy.set(former, name)
    }
}

function* noSink(graph: LogicalGraph): Generator<string> {
  const last = graph.nodes.at(-1)
  if (last === undefined)
    yield (
      'The job is empty: its function made no source. ' +
        'Begin with env.source(uid, source) and end with .sink(uid, sink).'
    )
  else if (!graph.nodes.some((n) => n.guarantee !== undefined))
    yield (
      'The job has no sink, so nothing would come out of it. End a stream with .sink(uid, sink); ' +
        `the last step is "${last.id}" at ${last.location}.`
    )
}

function* duplicates(graph: LogicalGraph): Generator<string> {
  const first = new Map<string, LogicalNode>()
  for (const node of graph.nodes) {
    const other = first.get(node.id)
    // A source is two nodes with one uid; one sentence is enough for both.
    if (other === undefined) first.set(node.id, node)
    else if (node.kind !== 'discover')
      yield (
        `Two steps have the uid "${node.id}": ${other.location} and ${node.location}. ` +
          'State is found by uid, so each must be unique: rename one of them.'
      )
  }
}

function* formerNames(graph: LogicalGraph): Generator<string> {
  const ids = new Map(graph.nodes.map((n) => [n.id, n]))
  const takenBy = new Map<string, LogicalNode>()
  for (const node of graph.nodes)
    for (const name of node.formerly) {
      const living = ids.get(name)
      if (living !== undefined)
        yield (
          `"${node.id}" (${node.location}) was formerly "${name}", but "${name}" is also a step of ` +
            `this graph (${living.location}). Only one of them can have the state.`
        )
      const other = takenBy.get(name)
      if (other !== undefined && other !== node)
        yield (
          `"${node.id}" (${node.location}) and "${other.id}" (${other.location}) both were formerly ` +
            `"${name}". Only one of them can have the state.`
        )
      takenBy.set(name, node)
    }
}

/** Windows that would fail with their first record. */
function* noTimestamps({ nodes, edges }: LogicalGraph): Generator<string> {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const timeless = (id: string): LogicalNode | undefined => {
    const inputs = edges.filter((edge) => edge.to === id).flatMap(({ from }) => byId.get(from) ?? [])
    for (const input of inputs) {
      if (input.givesTimestamps) continue
      if (input.kind === 'read') return input
      const source = timeless(input.id)
      if (source !== undefined) return source
    }
    return undefined
  }
  for (const { id, kind, location } of nodes) {
    const source = kind === 'window' ? timeless(id) : undefined
    if (source !== undefined)
      yield (
        `Window "${id}" (${location}) gets records without timestamps from source "${source.id}" ` +
          `(${source.location}). Call assignTimestamps(record => milliseconds, strategy) between them.`
      )
  }
}

function* parallelism(graph: LogicalGraph): Generator<string> {
  for (const { id, location, parallelism: p } of graph.nodes)
    if (p !== undefined && !(Number.isInteger(p) && p >= 1))
      yield `"${id}" (${location}) has parallelism ${p}; expected a whole number of at least 1.`
}
