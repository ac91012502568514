import { WeirError } from '#runtime/base/errors'
import { collect } from '#runtime/connectors/collect/sink'
import type { Source } from '#runtime/connectors/source'
import { refuseUnknownOptions } from '#runtime/base/known-options'
import { member } from '#runtime/base/member'
import { preview } from '#runtime/base/preview'
import { bindPlan } from '#runtime/graph/execution-plan'
import { buildGraph, isJobDefinition, type JobDefinition } from '#runtime/graph/job-definition'
import type { LogicalGraph, LogicalNode } from '#runtime/graph/logical-graph'
import { SinkOperator } from '#runtime/operators/sink'
import { SourceDiscoverOperator } from '#runtime/operators/source-discover'
import { SourceReadOperator } from '#runtime/operators/source-read'
import { expectCall } from './checked-call.ts'
import { scriptedSource, TimedValue } from './scripted-source.ts'
import { runInOneSlot } from './single-slot.ts'
import { settled, TestClock } from './test-clock.ts'

/**
 * What a source gives in a test: values, each at once or at its time (`at`); or another source that
 * ends by itself, such as `files.jsonl` of a fixture, which then runs in real time.
 */
export type SourceInput = readonly unknown[] | Source<any>

export type RunJobOptions<I> = {
  /** For every source of the job, by its uid. */
  readonly sources: Readonly<Record<string, SourceInput>>
  /** Of the steps; all subtasks run in this thread. Default 1. */
  readonly parallelism?: number
} & ({} extends I ? { readonly args?: I } : { readonly args: I })

export interface JobResult {
  /** What each sink was given, by its uid, in the order in which it came. */
  readonly sinks: Readonly<Record<string, any[]>>
  /** Records that a window dropped because they were late. */
  readonly late: number
  /** Records that a source could not read, and was to skip. */
  readonly bad: number
}

/** Time after the last value in which a job must have come to its end. */
const GRACE_MS = 3_600_000
/** Nothing but the final checkpoint waits for promises, so time need not stop for them often. */
const DRIVE_MS = 10_000
const MAX_PARALLELISM = 128

/**
 * Runs a job from its first record to its end, in this thread, with the operators, the exchange and
 * the final checkpoint of a real run, but without processes and storage: its sources give what the
 * test says, its sinks collect. Time passes only between values that have one (`at`); it begins
 * at 0, so that equal tests run equally.
 * @throws {WeirError} CFG_INVALID when a source of the job has no input here, or an input no
 *   source; else what the job fails with
 */
export async function runJob<I extends Readonly<Record<string, unknown>>>(
  job: JobDefinition<any, I>,
  options: RunJobOptions<I>,
): Promise<JobResult> {
  expectCall(isJobDefinition(job), 'runJob', job, "a job: the default export of the job's module")
  refuseUnknownOptions('runJob', options, ['args', 'sources', 'parallelism'])
  const { sources, parallelism = 1, args = {} } = options
  const graph = buildGraph(job, args)
  checkSources(graph, sources)
  const sinks: Record<string, any[]> = {}
  const nodes = graph.nodes.map((node) => withTestEnds(node, sources, sinks))
  const bound = bindPlan({ ...graph, nodes }, { parallelism, maxParallelism: MAX_PARALLELISM })
  const isScripted = Object.values(sources).every(isList)
  const { lateDropped, badRecords } = await runInOneSlot(bound, {
    parallelism,
    ...(isScripted ? scriptedTime(sources) : {}),
  })
  return { sinks, late: lateDropped, bad: badRecords }
}

function scriptedTime(sources: Readonly<Record<string, SourceInput>>) {
  const clock = new TestClock()
  const lastMs = Object.values(sources)
    .flatMap((values) => (isList(values) ? values : []))
    .reduce<number>((last, value) => (value instanceof TimedValue ? Math.max(last, value.atMs) : last), 0)
  const drive = async (isOver: () => boolean): Promise<void> => {
    for (const endMs = lastMs + GRACE_MS; !isOver() && clock.now() < endMs; clock.advance(DRIVE_MS))
      await settled()
    if (!isOver())
      throw new WeirError('DEADLINE', 'The job has not come to its end an hour after its last value.')
  }
  return { clock, drive }
}

function checkSources(graph: LogicalGraph, sources: Readonly<Record<string, SourceInput>>): void {
  const uids = graph.nodes.filter(({ kind }) => kind === 'read').map(({ id }) => id)
  const refuse = (what: string): never => {
    throw new WeirError(
      'CFG_INVALID',
      `runJob: ${what}. Expected under "sources" a list of values, or a source that ends, for each of: ` +
        `${uids.join(', ')}.`,
    )
  }
  if (typeof sources !== 'object') refuse('"sources" is missing')
  for (const uid of uids) if (sources[uid] === undefined) refuse(`source "${uid}" of the job has no input`)
  for (const [uid, input] of Object.entries(sources)) {
    if (!uids.includes(uid)) refuse(`the job has no source "${uid}"`)
    if (!isList(input) && member(input, 'bounded') !== true)
      refuse(`the input of "${uid}" is ${inputText(input)}`)
  }
}

function withTestEnds(
  node: LogicalNode,
  sources: Readonly<Record<string, SourceInput>>,
  sinks: Record<string, any[]>,
): LogicalNode {
  switch (node.kind) {
    case 'discover': {
      const source = sourceOf(sources[node.id.replace(/\.discover$/, '')])
      return { ...node, create: () => new SourceDiscoverOperator(source) }
    }
    case 'read': {
      const source = sourceOf(sources[node.id])
      return { ...node, create: () => new SourceReadOperator(source) }
    }
    case 'sink': {
      const sink = collect((sinks[node.id] = []))
      return { ...node, create: () => new SinkOperator(sink) }
    }
    default:
      return node
  }
}

const sourceOf = (input: SourceInput = []): Source<any> => (isList(input) ? scriptedSource(input) : input)

const isList = (input: SourceInput): input is readonly unknown[] => Array.isArray(input)

const inputText = (input: unknown): string =>
  member(input, 'bounded') === false ? 'a source that has no end' : preview(input)
