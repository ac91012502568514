import { messageOf, WeirError } from '#runtime/base/errors'
import { JobFault } from '#runtime/base/job-fault'
import { preview } from '#runtime/base/preview'
import type { Sink, SinkWriter } from '#runtime/connectors/sink'
import { SystemAccess } from '#runtime/storage/connector-access'
import { brokenRule, spread, within } from './broken-rule.ts'
import { Crash, hurriedClock } from './port-steps.ts'
import { SinkJob, type SinkJobOptions } from './sink-job.ts'
import { liveWhole, ROUNDS, SINK_RULES, upTo, type SinkRule } from './sink-rules.ts'

export interface SinkCheck<T> {
  /** How often the process dies at a call of the writer, spread over a job's life. Default 20. */
  readonly kills?: number
  /** Record number n: another one for each n, equal to what `visible` gives for it as JSON. */
  readonly record: (n: number) => T
  /** All records that readers of the output see now, of all jobs. */
  readonly visible: () => readonly T[] | Promise<readonly T[]>
}

/** Records that one job life may write. */
const RECORDS_PER_LIFE = 16
const KILLED =
  'whatever call the process dies at, before or after it is done, every record is there once in the end'

/** @throws {WeirError} USR_FAILED naming the rule that the sink breaks */
export async function assertSink<T>(sink: Sink<T>, options: SinkCheck<T>): Promise<void> {
  const bench = new SinkBench(sink, options)
  for (const rule of SINK_RULES) await bench.check(rule)
  const { kills = 20 } = options
  const steps = await bench.countCalls()
  for (const step of spread(steps, kills)) await bench.kill(step)
}

/** Lives of jobs in the one place that a sink writes to, told apart by their records. */
class SinkBench<T> {
  readonly #sink: Sink<T>
  readonly #options: SinkCheck<T>
  #lives = 0

  constructor(sink: Sink<T>, options: SinkCheck<T>) {
    this.#sink = sink
    this.#options = options
  }

  async check({ rule, live }: SinkRule): Promise<void> {
    const number = this.#lives++
    const jobOf = (more: Partial<SinkJobOptions> = {}) => this.#job(number, more)
    const world = {
      job: jobOf(),
      jobOf,
      isExactlyOnce: this.#sink.guarantee === 'exactly-once',
      expectRecords: (expected: readonly number[]) => this.#expect(number, expected),
      expectNothingHidden: () => Promise.resolve(),
    }
    await this.#judged(rule, () => live(world))
  }

  /** Calls of a writer in a life without a failure. */
  async countCalls(): Promise<number> {
    const calls = new Calls(undefined)
    await this.#judged(KILLED, () => this.#live(calls))
    return calls.count
  }

  kill(at: number): Promise<void> {
    const calls = new Calls(at)
    return this.#judged(
      KILLED,
      () => this.#live(calls),
      () => ` It died ${calls.diedAt}.`,
    )
  }

  async #live(calls: Calls): Promise<void> {
    const number = this.#lives++
    await liveWhole(this.#job(number, { sink: () => calls.watched(this.#sink) }))
    await this.#expect(number, upTo(ROUNDS.length))
  }

  async #judged(rule: string, act: () => Promise<void>, where = () => ''): Promise<void> {
    try {
      await within(act(), 'an answer')
    } catch (cause) {
      throw brokenRule(`Sink ${this.#sink.description}`, rule, messageOf(cause) + where(), cause)
    }
  }

  #job(life: number, more: Partial<SinkJobOptions>): SinkJob {
    const { record } = this.#options
    return new SinkJob({
      sink: () => this.#sink,
      access: new SystemAccess(undefined, hurriedClock()),
      record: (n) => record(life * RECORDS_PER_LIFE + n),
      ...more,
      // Of this life alone, as no two jobs have one uid.
      uid: `life-${life}-${more.uid ?? 'job-a'}`,
    })
  }

  async #expect(life: number, expected: readonly number[]): Promise<void> {
    const { record, visible } = this.#options
    const found = (await visible()).map((value) => JSON.stringify(value))
    const faults = upTo(RECORDS_PER_LIFE).flatMap((n) => {
      const value = record(life * RECORDS_PER_LIFE + n)
      const text = JSON.stringify(value)
      const times = found.filter((other) => other === text).length
      const wanted = expected.filter((other) => other === n).length
      return this.#isRight(times, wanted) ? [] : `${preview(value)} ${often(times)} and not ${often(wanted)}`
    })
    if (faults.length > 0) throw new JobFault(`Readers found ${faults.join('; ')}.`)
  }

  #isRight(times: number, wanted: number): boolean {
    if (this.#sink.guarantee === 'exactly-once') return times === wanted
    return times > 0 === wanted > 0
  }
}

const often = (times: number): string =>
  times === 0 ? 'never' : times === 1 ? 'once' : times === 2 ? 'twice' : `${times} times`

/** Counts the calls of writers, and ends their process at one of them. */
class Calls {
  count = 0
  diedAt = ''
  readonly #killAt: number | undefined
  #isDead = false

  constructor(killAt: number | undefined) {
    this.#killAt = killAt
  }

  watched<T>(sink: Sink<T>): Sink<T> {
    return {
      ...sink,
      createWriter: (context) => {
        this.#isDead = false
        const writer = sink.createWriter(context)
        return {
          ...(writer.begin === undefined ? {} : { begin: (id) => writer.begin?.(id) }),
          ...(writer.recover === undefined
            ? {}
            : { recover: (is) => this.#call('recover', async () => writer.recover?.(is)) }),
          write: (value, at) => writer.write(value, at),
          prepare: () => this.#call('prepare', () => writer.prepare()),
          commit: (committable) => this.#call('commit', () => writer.commit(committable)),
          close: () => writer.close(),
        } satisfies SinkWriter<T, unknown>
      },
    }
  }

  /** The call is made at once: a transaction is cut within it. */
  async #call<R>(name: string, act: () => Promise<R>): Promise<R> {
    this.#step(`before ${name}`)
    const result = await act()
    this.#step(`after ${name}`)
    return result
  }

  #step(where: string): void {
    if (this.#isDead) throw new Crash('killed')
    if (this.count++ !== this.#killAt) return
    this.#isDead = true
    this.diedAt = where
    throw new Crash('killed')
  }
}

/** @throws {WeirError} CFG_INVALID when the options cannot judge a sink */
export function checkSinkOptions(options: SinkCheck<unknown>): void {
  const { record, visible } = options
  const isGood = typeof record === 'function' && typeof visible === 'function'
  if (!isGood || JSON.stringify(record(0)) === JSON.stringify(record(1)))
    throw new WeirError(
      'CFG_INVALID',
      'assertConnector: a sink is judged by { record: (n) => another record for each n, ' +
        'visible: () => all records that readers see }.',
    )
}
