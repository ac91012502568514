import { describe, expect, test } from 'vitest'
import { WeirError } from '#runtime/base/errors'
import type { Sink } from '#runtime/connectors/sink'
import type { ConnectorAccess } from '#runtime/storage/connector-access'
import { Crash, type Interference } from './port-steps.ts'
import { SinkJob, type SinkJobOptions } from './sink-job.ts'

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

const upTo = (position: number): number[] => Array.from({ length: position }, (_, n) => n)

/** What a job does after each of its records, until its end. */
const ROUNDS = ['checkpoint', 'savepoint', 'aborted', 'checkpoint', 'checkpoint'] as const

/**
 * The whole life of a job, started again from its log whenever an attempt fails. `onFailure` comes
 * between two attempts.
 */
async function live(job: SinkJob, onFailure: () => Promise<void> = () => Promise.resolve()): Promise<void> {
  for (let attempts = 0; attempts < 5; attempts++) {
    try {
      return await attempt(job)
    } catch (error) {
      const mayGoOn = error instanceof Crash || (error instanceof WeirError && error.retry !== 'never')
      if (!mayGoOn) throw error
      await job.kill()
      await onFailure()
    }
  }
  throw new Error('the job does not come to its end')
}

async function attempt(job: SinkJob): Promise<void> {
  await job.start()
  for (;;) {
    const round = ROUNDS[job.position]
    if (round === undefined) return job.stop()
    job.send(1)
    if (round === 'checkpoint') await job.checkpoint()
    else if (round === 'savepoint') await job.savepoint()
    else await job.barrier()
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
    await scenario(async (_, { jobOf }) => live(jobOf({ interfere: () => void steps++ })))
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
        await live(job, onFailure)
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
    test('commits with a permit, not before', () =>
      scenario(async (job, { expectRecords: expectOut }) => {
        await job.start()
        job.send(2)
        await job.log()
        if (guarantee === 'exactly-once') await expectOut([])
        await job.permit()
        await expectOut([0, 1])
      }))

    test('succession commits what the checkpoint holds, however often it is repeated', () =>
      scenario(async (job, { expectRecords: expectOut }) => {
        await job.start()
        job.send(1)
        await job.log()
        await job.kill()
        for (let restart = 0; restart < 3; restart++) {
          await job.start()
          await expectOut([0])
          await job.kill()
        }
        await job.start()
        await job.permit()
        job.send(1)
        await job.checkpoint()
        await job.permit()
        await expectOut([0, 1])
      }))

    test('what no checkpoint holds is not output, and does not stay', () =>
      scenario(async (job, { place, expectRecords: expectOut }) => {
        await job.start()
        job.send(1)
        await job.checkpoint()
        job.send(1)
        await job.barrier()
        job.send(1)
        await job.kill()
        await job.start()
        if (guarantee === 'exactly-once') await expectOut([0])
        expect((await place.hidden?.()) ?? []).toEqual([])
        job.send(2)
        await job.stop()
        await expectOut([0, 1, 2])
      }))

    test('transactions of aborted checkpoints ride with the next', () =>
      scenario(async (job, { expectRecords: expectOut }) => {
        await job.start()
        for (let i = 0; i < 3; i++) {
          job.send(1)
          await job.barrier()
        }
        job.send(1)
        await job.log()
        await job.kill()
        await job.start()
        await expectOut([0, 1, 2, 3])
      }))

    test('a transaction is prepared while those before it still are', () =>
      scenario(async (job, { expectRecords: expectOut }) => {
        await job.start()
        const prepared = [1, 2, 3].map(() => {
          job.send(1)
          return job.barrier()
        })
        await Promise.all(prepared)
        await job.log()
        await job.kill()
        await job.start()
        await expectOut([0, 1, 2])
      }))

    test('pending transactions survive rescaling to two and back', () =>
      scenario(async (job, { expectRecords: expectOut }) => {
        await job.start({ parallelism: 1 })
        job.send(1)
        await job.barrier()
        job.send(1)
        await job.log()
        await job.kill()
        await job.start({ parallelism: 2 })
        job.send(2)
        await job.barrier()
        job.send(2)
        await job.log()
        await job.kill()
        await job.start({ parallelism: 1 })
        job.send(1)
        await job.stop()
        await expectOut(upTo(7))
      }))

    test('a job that takes over from an ended one commits what that one had prepared', () =>
      scenario(async (job, { jobOf, expectRecords: expectOut }) => {
        await job.start()
        job.send(2)
        const last = await job.log()
        await job.kill()
        const successor = jobOf({ uid: 'job-b' })
        await successor.start({ from: last })
        successor.send(1)
        await successor.stop()
        await expectOut([0, 1, 2])
      }))

    test.each(['there', ...ways] as const)('a rewind finds its output: %s', (state) =>
      scenario(async (job, { reader, expectRecords: expectOut }) => {
        await job.start()
        job.send(1)
        await job.checkpoint()
        job.send(1)
        const savepoint = await job.savepoint()
        job.send(1)
        await job.checkpoint()
        await job.kill()
        if (state !== 'there') await reader.take(state)
        await job.start({ from: savepoint, lineage: 'rewind' })
        job.send(1)
        await job.stop()
        // What came after the savepoint is written again: that is what a rewind asks for.
        await expectOut([0, 1, 2, 2])
      }),
    )

    test.each([
      ['the fork', ['fork', 'source']],
      ['its source', ['source', 'fork']],
    ] as const)('a fork never touches what its source has prepared; first commits %s', (_, order) =>
      scenario(async (source, { jobOf, expectRecords: expectOut }) => {
        await source.start()
        source.send(1)
        await source.checkpoint()
        source.send(1)
        const savepoint = await source.savepoint()
        const fork = jobOf({ uid: 'job-b' })
        await fork.start({ from: savepoint, lineage: 'fork' })
        fork.send(1)
        source.send(1)
        for (const who of order) await (who === 'fork' ? fork : source).checkpoint()
        await source.stop()
        await fork.kill()
        await fork.start()
        await fork.stop()
        await expectOut([0, 1, 2, 2])
      }),
    )

    test('a source that fails after it was forked replays without a trace of the fork', () =>
      scenario(async (source, { jobOf, expectRecords: expectOut }) => {
        await source.start()
        source.send(1)
        await source.checkpoint()
        source.send(1)
        const savepoint = await source.savepoint()
        const fork = jobOf({ uid: 'job-b' })
        await fork.start({ from: savepoint, lineage: 'fork' })
        await fork.stop()
        await source.kill()
        await source.start()
        source.send(1)
        await source.stop()
        await expectOut([0, 1])
      }))

    test.each([
      // Nothing says that record 1 was written again, and committed: see the next test.
      ['rewound to', 'rewind', 'job-a', [0, 1, 1, 2]],
      ['forked from', 'fork', 'job-b', [0, 1, 2]],
    ] as const)(
      'a savepoint right after which its job failed and went on can be %s',
      (_, lineage, uid, expected) =>
        scenario(async (job, { jobOf, expectRecords: expectOut }) => {
          await job.start()
          job.send(1)
          await job.checkpoint()
          job.send(1)
          const savepoint = await job.savepoint()
          await job.kill()
          await job.start()
          job.send(1)
          await job.checkpoint()
          await job.kill()
          const restored = uid === job.uid ? job : jobOf({ uid })
          await restored.start({ from: savepoint, lineage })
          restored.send(1)
          await restored.stop()
          await expectOut(expected)
        }),
    )

    test('what the log knows to be committed is not committed again', () =>
      scenario(async (job, { expectRecords: expectOut }) => {
        await job.start()
        job.send(1)
        await job.checkpoint()
        job.send(1)
        const savepoint = await job.savepoint()
        await job.kill()
        await job.start()
        job.send(1)
        await job.stop()
        await job.start({ from: savepoint, lineage: 'rewind' })
        job.send(1)
        await job.stop()
        await expectOut([0, 1, 2])
      }))

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
