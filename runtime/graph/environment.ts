import { refuseWrongOptions } from '#runtime/base/known-options'
import type { Source } from '#runtime/connectors/source'
import { SourceDiscoverOperator } from '#runtime/operators/source-discover'
import { SourceReadOperator } from '#runtime/operators/source-read'
import { DataStream } from './data-stream.ts'
import type { GraphBuilder } from './logical-graph.ts'
import { addSideBranches } from './side-branches.ts'
import { captureLocation } from './source-location.ts'
import type { StatefulOptions } from './step-options.ts'
import { checkConnector, checkUid } from './validate.ts'

/** Where streams begin. */
export class Environment {
  readonly #builder: GraphBuilder

  constructor(builder: GraphBuilder) {
    this.#builder = builder
  }

  /**
   * Reads a source. It becomes two vertices: `<uid>.discover`, one subtask that finds splits, and
   * `<uid>`, the readers, which keep the positions. `uid` names that state.
   */
  source<T>(uid: string, source: Source<T>, options: StatefulOptions = {}): DataStream<T> {
    const location = captureLocation(this.source)
    checkUid(uid, location)
    checkConnector(`${location}: source "${uid}"`, 'source', source)
    refuseWrongOptions(`${location}: source "${uid}"`, options)
    const common = { stateful: true, location, startsChain: true }
    const discover = this.#builder.add(
      {
        ...common,
        uid: `${uid}.discover`,
        kind: 'discover',
        description: `discover ${source.description}`,
        formerly: options.formerly?.map((name) => `${name}.discover`),
        parallelism: 1,
        create: () => new SourceDiscoverOperator(source),
      },
      [],
    )
    const read = this.#builder.add(
      {
        ...common,
        uid,
        kind: 'read',
        description: `read ${source.description}`,
        formerly: options.formerly,
        givesTimestamps: source.givesTimestamps === true,
        create: () => new SourceReadOperator(source),
      },
      [{ node: discover, partition: 'rebalance' }],
    )
    const { sideOutput } = source
    if (sideOutput === undefined)
      return new DataStream<T>(this.#builder, [{ node: read, partition: 'forward' }])
    const { main, side } = addSideBranches(this.#builder, { node: read, uid, location }, sideOutput)
    return new DataStream<T>(
      this.#builder,
      [main],
      new Map([[sideOutput, new DataStream<unknown>(this.#builder, [side])]]),
    )
  }
}
