import { describe, expect, test } from 'vitest'
import { WeirError } from '#runtime/base/errors'
import type { Sink } from '#runtime/connectors/sink'
import type { ConnectorAccess } from '#runtime/storage/connector-access'
import { Crash, type Interference } from '#runtime/testing/port-steps'
import { SinkJob, type SinkJobOptions } from '#runtime/testing/sink-job'
import { diedPastSavepoint, liveWhole, ROUNDS, SINK_RULES, upTo } from '#runtime/testing/sink-rules'

/** What readers of the output find: by name, because that is how they tell one from another. */
export type VisibleOutput = ReadonlyMap<string, readonly number[]>

/** A fresh place for the output of a sink. */
export interface SinkPlace extends AsyncDisposable {
  /** A sink that writes there; for each subtask of each attempt. */
  readonly sink: () => Sink<number>
  readonly access: ConnectorAccess
  /** Undefined: the sink shows nothing that could be looked at. */
  visible?(): Promise<VisibleOutput>
  /** What is stored there and not visible, except what is meant to stay. */
  hidden?(): Promise<string[]>
  /** Takes all visible output away. */
  readonly take?: Readonly<Record<'delete' | 'move', () => Promise<void>>>
}

export interface SinkConformance {
  readonly place: () => Promise<SinkPlace>
  /** Default: exactly once. */
  readonly guarantee?: 'exactly-once' | 'at-least-once'
  /**
   * The sink works through the ports of its context, so that something can happen between its
   * steps, and readers may take its output away: then a place has `take`. Default: true.
   */
  readonly usesPorts?: boolean
  /**
   * The outside has no atomic rename: what is taken away between two steps of a commit that then
   * fails may appear again, under the same name.
   */
  readonly mayReappear?: boolean
}

/** A reader that takes output away, and remembers what it saw. */
class Reader {
  readonly #place: SinkPlace
  readonly #seen: (readonly [name: string, records: readonly number[]])[] = []

  constructor(place: SinkPlace) {
    this.#place = place
  }

  async take(how: 'delete' | 'move'): Promise<void> {
    this.#seen.push(...(await this.#visible()))
    await this.#place.take?.[how]()
  }

  /** All output so far, by record number. `byName`: what has the same name is one output. */
  async records({ byName = false } = {}): Promise<number[]> {
    const all = [...this.#seen, ...(await this.#visible())]
    const records = byName ? [...new Map(all).values()] : all.map(([, of]) => of)
    return records
      .flat()
      .map((value) => Math.log2(value))
      .sort((a, b) => a - b)
  }

  async #visible(): Promise<VisibleOutput> {
    return (await this.#place.visible?.()) ?? new Map()
  }
}

/**
 * Everything that connectors/sink.ts promises about checkpoints and restores, for one kind of sink:
 * whatever happens between any two of its steps towards the outside.
 */
export function sinkConformance(name: string, options: SinkConformance): void {
  const { guarantee = 'exactly-once', usesPorts = true, mayReappear = false } = options
  const ways = usesPorts ? (['delete', 'move'] as const) : []

  /** A job in a place of its own, and what readers find at the end. */
  const scenario = async (act: (job: SinkJob, world: World) => Promise<void>): Promise<void> => {
    await using place = await options.place()
    const reader = new Reader(place)
    const jobOf = (more: Partial<SinkJobOptions> = {}) => new SinkJob({ ...place, ...more })
    await act(jobOf(), { place, reader, jobOf, expectRecords: (e) => expectRecords(place, reader, e) })
  }

  const expectRecords = async (place: SinkPlace, reader: Reader, expected: readonly number[]) => {
    if (place.visible === undefined) return
    const found = await reader.records()
    const sorted = [...expected].sort((a, b) => a - b)
    if (guarantee === 'exactly-once') expect(found).toEqual(sorted)
    else expect([...new Set(found)]).toEqual([...new Set(sorted)])
  }

  /** Runs a whole life for each step that it has, with something happening at that step. */
  const atEveryStep = async (
    happens: (world: { readonly reader: Reader }) => { at: Interference; onFailure?: () => Promise<void> },
    byName = false,
  ): Promise<void> => {
    let steps = 0
    await scenario(async (_, { jobOf }) => liveWhole(jobOf({ interfere: () => void steps++ })))
    expect(steps).toBeGreaterThan(50)
    for (let k = 0; k < steps; k++)
      await scenario(async (_, { place, reader, jobOf }) => {
        const { at, onFailure } = happens({ reader })
        let step = 0
        let where = 'no step'
        const job = jobOf({
          interfere: async (of) => {
            if (step++ !== k) return
            where = `${of.moment} step ${k} of ${steps}, ${of.call}`
            await at(of)
          },
        })
        await liveWhole(job, onFailure)
        if (place.visible === undefined) return
        const context = `something happened ${where}`
        expect(await reader.records({ byName }), context).toEqual(upTo(ROUNDS.length))
        expect(await leftovers(place, job), context).toEqual([])
      })
  }

  /** What is still stored when the job has been started once more after its end. */
  const leftovers = async (place: SinkPlace, job: SinkJob): Promise<string[]> => {
    job.savepoints.length = 0
    await job.start()
    return (await place.hidden?.()) ?? []
  }

  describe(`${name} as a sink`, () => {
    test.each(SINK_RULES)('$rule', ({ live }) =>
      scenario((job, world) =>
        live({
          ...world,
          job,
          isExactlyOnce: guarantee === 'exactly-once',
          expectNothingHidden: async () => expect((await world.place.hidden?.()) ?? []).toEqual([]),
        }),
      ),
    )

    test.each(ways)('a rewind does not find its output: %s', (how) =>
      scenario(async (job, { reader, expectRecords: expectOut }) => {
        const savepoint = await diedPastSavepoint(job)
        await reader.take(how)
        await job.start({ from: savepoint, lineage: 'rewind' })
        job.send(1)
        await job.stop()
        // What came after the savepoint is written again: that is what a rewind asks for.
        await expectOut([0, 1, 2, 2])
      }),
    )

    if (!usesPorts) return

    test('the process dies between any two steps', () => atEveryStep(() => ({ at: () => die() })), 300_000)

    test(
      'the process dies between any two steps, and readers take all output before it is back',
      () =>
        atEveryStep(
          ({ reader }) => ({ at: () => die(), onFailure: () => reader.take('delete') }),
          mayReappear,
        ),
      300_000,
    )

    test.each(ways)(
      'readers take all output between any two steps: %s',
      (how) => atEveryStep(({ reader }) => ({ at: () => reader.take(how) })),
      300_000,
    )

    test(
      'any request fails once, done or not',
      () =>
        atEveryStep(() => ({
          at: () => {
            throw new WeirError('STO_UNAVAILABLE', 'no answer')
          },
        })),
      300_000,
    )
  })
}

interface World {
  readonly place: SinkPlace
  readonly reader: Reader
  /** Another job in the same place. */
  jobOf(options?: Partial<SinkJobOptions>): SinkJob
  expectRecords(expected: readonly number[]): Promise<void>
}

function die(): never {
  throw new Crash('killed')
}
