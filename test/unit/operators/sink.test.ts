import { Writable } from 'node:stream'
import { pino } from 'pino'
import { describe, expect, test } from 'vitest'
import { WeirError } from '#runtime/base/errors'
import type { CommitOutcome, Sink, SinkWriter, TransactionId } from '#runtime/connectors/sink'
import { SinkOperator } from '#runtime/operators/sink'
import { OperatorHarness, type HarnessOptions, type HarnessState } from '#runtime/testing/operator-harness'
import { TestClock } from '#runtime/testing/test-clock'
import { hurriedClock } from '#runtime/testing/port-steps'

interface Stored {
  readonly id: string
  readonly records: readonly number[]
}

const nameOf = ({ attempt, subtask, after }: TransactionId): string => `${attempt}/${subtask}/${after}`

/** A sink on a shared world of transactions. */
class World {
  readonly committed = new Map<string, readonly number[]>()
  /** By subtask and attempt: whether each of the transactions asked about is dangling. */
  readonly recovered: { readonly by: string; readonly dangling: readonly string[] }[] = []
  /** Asked about when recovering. */
  stored: TransactionId[] = []
  commits = 0
  /** What the next commits do instead. */
  instead: (() => CommitOutcome)[] = []
  failRecover = 0
  hold: Promise<void> = Promise.resolve()
  failPrepare = false
  /** What is prepared instead of the records. */
  prepares: (() => Stored) | undefined
  commitHangs = false
  failBegin = false

  sink(): Sink<number, Stored> {
    return {
      description: 'world',
      guarantee: 'exactly-once',
      createWriter: ({ subtask, attempt }): SinkWriter<number, Stored> => {
        let open: number[] = []
        let id = ''
        return {
          recover: (isDangling) => {
            if (this.failRecover-- > 0) throw new WeirError('STO_UNAVAILABLE', 'later')
            this.recovered.push({
              by: `${attempt}/${subtask}`,
              dangling: this.stored.filter(isDangling).map(nameOf),
            })
          },
          begin: (transaction) => {
            if (this.failBegin) throw new Error('cannot begin')
            id = nameOf(transaction)
          },
          write: (n) => void open.push(n),
          prepare: async () => {
            const prepared = this.prepares?.() ?? { id, records: open }
            open = []
            await this.hold
            if (this.failPrepare) throw new WeirError('STO_UNAVAILABLE', 'no')
            return prepared.records.length === 0 ? undefined : prepared
          },
          commit: async ({ id: of, records }) => {
            this.commits++
            if (this.commitHangs) await new Promise(() => {})
            const instead = this.instead.shift()
            if (instead !== undefined) return instead()
            this.committed.set(of, records)
            return 'committed'
          },
          close: () => {},
        }
      },
    }
  }

  get output(): number[] {
    return [...this.committed.values()].flat()
  }
}

function later(): CommitOutcome {
  throw new WeirError('STO_UNAVAILABLE', 'later')
}
function gone(): CommitOutcome {
  throw new WeirError('CKP_COMMIT_LOST', 'gone')
}
const consumed = (): CommitOutcome => 'consumed'

type Options = Partial<HarnessOptions<number, never>>
const open = (world: World, options: Options = {}, states: readonly HarnessState[] = []) =>
  OperatorHarness.open<number, never>(
    { create: () => new SinkOperator(world.sink()), clock: hurriedClock(), ...options },
    states,
  )

describe('SinkOperator', () => {
  test('commits with a permit, not before', async () => {
    const world = new World()
    const harness = await open(world)
    harness.send(1)
    await harness.snapshot(1)
    expect(world.committed.size).toBe(0)
    await harness.complete(1)
    expect([...world.committed]).toEqual([['1.1/0/0', [1]]])
    expect(harness.counters.committed).toBe(1)
  })

  test('counts the records that its writer took', async () => {
    const harness = await OperatorHarness.open({ create: () => new SinkOperator(new World().sink()) })
    harness.send(1)
    harness.send(2)
    expect(harness.counters.written).toBe(2)
    await harness.close()
  })

  test('a transaction is named by the barrier before it', async () => {
    const world = new World()
    const harness = await open(world)
    for (const id of [3, 5, 9]) {
      if (id !== 5) harness.send(id)
      await harness.snapshot(id)
    }
    await harness.complete(9)
    expect([...world.committed.keys()]).toEqual(['1.1/0/0', '1.1/0/5'])
  })

  test('a permit covers every older transaction, once', async () => {
    const world = new World()
    const harness = await open(world)
    for (const id of [1, 2, 3]) {
      harness.send(id)
      await harness.snapshot(id)
    }
    await harness.complete(2)
    await harness.complete(2)
    expect(world.output).toEqual([1, 2])
    expect(world.commits).toBe(2)
    await harness.complete(3)
    expect(world.output).toEqual([1, 2, 3])
  })

  test('what was prepared is stored as it was then, whatever the writer does with it later', async () => {
    const world = new World()
    const harness = await open(world)
    const prepared = { id: 'mine', records: [1] }
    world.prepares = () => prepared
    harness.send(1)
    await harness.snapshot(1)
    prepared.records.push(99)
    world.prepares = undefined
    await open(world, { attempt: '1.2' }, [await harness.snapshot(2)])
    expect(world.committed.get('mine')).toEqual([1])
  })

  test('a writer that cannot begin the next transaction fails its task', async () => {
    const world = new World()
    const harness = await open(world)
    harness.send(1)
    world.failBegin = true
    await expect(harness.snapshot(1)).rejects.toThrow('cannot begin')
    expect(harness.failures).toHaveLength(1)
  })

  test('a restore whose outside system is silent says which sink it is', async () => {
    const world = new World()
    const first = await open(world)
    first.send(1)
    const state = await first.snapshot(1)
    world.commitHangs = true
    const clock = new TestClock()
    const failure = open(world, { attempt: '1.2', clock }, [state]).catch((error: unknown) => error)
    await clock.runFor(30_000)
    expect(await failure).toMatchObject({
      code: 'DEADLINE',
      message: expect.stringMatching(/^Sink .* did not answer to the commit of what checkpoint 1 holds/),
    })
  })

  test('a commit that is never answered fails, naming the sink and the checkpoint', async () => {
    const world = new World()
    const clock = new TestClock()
    const harness = await open(world, { clock })
    world.commitHangs = true
    harness.send(1)
    await harness.snapshot(7)
    const failure = harness.complete(7).catch((error: unknown) => error)
    await clock.runFor(300_000)
    expect(await failure).toMatchObject({
      code: 'DEADLINE',
      message: expect.stringMatching(
        /^Sink .* did not answer to the commit of checkpoint 7 within 300000 ms/,
      ),
    })
  })

  test('a transaction of an aborted checkpoint rides with the next', async () => {
    const world = new World()
    const first = await open(world)
    first.send(1)
    await first.snapshot(1)
    first.send(2)
    const state = await first.snapshot(2)
    await open(world, { attempt: '1.2' }, [state])
    expect(world.output).toEqual([1, 2])
  })

  test('what was cut before a slow prepare stays with its checkpoint', async () => {
    const world = new World()
    let release = () => {}
    world.hold = new Promise((resolve) => (release = resolve))
    const harness = await open(world)
    harness.send(1)
    const first = harness.snapshot(1)
    harness.send(2)
    const second = harness.snapshot(2)
    release()
    const [one, two] = await Promise.all([first, second])
    await open(world, { attempt: '1.2' }, [one])
    expect(world.output).toEqual([1])
    await open(world, { attempt: '1.3' }, [two])
    expect(world.output).toEqual([1, 2])
  })

  test('after a change of parallelism one subtask commits each transaction, none is dangling', async () => {
    const world = new World()
    const states = await Promise.all(
      [0, 1, 2].map(async (subtask) => {
        const harness = await open(world, { subtask, parallelism: 3 })
        harness.send(subtask)
        return harness.snapshot(1)
      }),
    )
    const stored = (subtask: number, after: number): TransactionId => ({
      job: 'job-uid',
      sink: 'operator',
      attempt: '1.1',
      subtask,
      after,
    })
    world.stored = [stored(0, 0), stored(1, 0), stored(2, 0), stored(0, 1)]
    world.recovered.length = 0
    await Promise.all(
      [0, 1].map((subtask) => open(world, { subtask, parallelism: 2, attempt: '2.1' }, states)),
    )
    expect(world.output.sort()).toEqual([0, 1, 2])
    expect(world.commits).toBe(3)
    expect(world.recovered).toEqual([{ by: '2.1/0', dangling: ['1.1/0/1'] }])
  })

  test("a transient failure of a permit's commit is the caller's to repeat", async () => {
    const world = new World()
    const harness = await open(world)
    harness.send(1)
    await harness.snapshot(1)
    world.instead = [later]
    await expect(harness.complete(1)).rejects.toThrow('later')
    await harness.complete(1)
    expect(world.committed.size).toBe(1)
  })

  test('a transaction that cannot be prepared fails the task and declines the checkpoint', async () => {
    const world = new World()
    const harness = await open(world)
    harness.send(1)
    world.failPrepare = true
    await expect(harness.snapshot(1)).rejects.toThrow('no')
    expect(harness.failures).toHaveLength(1)
  })
})

describe('SinkOperator on restore', () => {
  /** One pending transaction of checkpoint 7. */
  const pending = async (world: World): Promise<HarnessState> => {
    const harness = await open(world)
    harness.send(1)
    return harness.snapshot(7)
  }
  /** What it warned of, in the order of the log. */
  const warnings = () => {
    const lines: { count: number; msg: string }[] = []
    const stream = new Writable({
      write(chunk: Buffer, _, done) {
        lines.push(JSON.parse(chunk.toString()) as { count: number; msg: string })
        done()
      },
    })
    return { lines, logger: pino({ level: 'warn' }, stream) }
  }

  test('asks again while the outside does not answer', async () => {
    const world = new World()
    const state = await pending(world)
    world.instead = [later, later]
    world.failRecover = 2
    await open(world, { attempt: '1.2' }, [state])
    expect(world.output).toEqual([1])
    expect(world.recovered.at(-1)?.by).toBe('1.2/0')
  })

  test('gives up when the outside does not answer for a minute', async () => {
    const world = new World()
    const state = await pending(world)
    world.instead = Array.from({ length: 1000 }, () => later)
    await expect(open(world, { attempt: '1.2' }, [state])).rejects.toThrow('later')
    expect(world.commits).toBeLessThan(100)
  })

  test('a fork commits nothing of its source, says what it leaves, and does not carry it on', async () => {
    const world = new World()
    const state = await pending(world)
    const { lines, logger } = warnings()
    const fork = await open(world, { jobUid: 'fork', lineage: 'fork', logger }, [state])
    expect(fork.counters.leftPending).toBe(1)
    expect(lines).toMatchObject([
      {
        count: 1,
        transactions: [
          {
            transaction: { job: 'job-uid', sink: 'operator', attempt: '1.1', subtask: 0, after: 0 },
            committable: { id: '1.1/0/0', records: [1] },
          },
        ],
        msg: expect.stringContaining('publish it by hand'),
      },
    ])
    const own = await fork.snapshot(8)
    await fork.complete(8)
    const next = await open(world, { jobUid: 'fork', attempt: '1.2' }, [own])
    expect(next.counters.leftPending).toBe(0)
    expect(world.commits).toBe(0)
  })

  test('what is known to be committed is not even looked at', async () => {
    const world = new World()
    const state = await pending(world)
    const sinks = { committedUpTo: 7, savepoints: [] }
    await open(world, { attempt: '1.2', sinks }, [state])
    expect(world.commits).toBe(0)
  })

  test('a transaction that is gone without a trace fails a succession for good', async () => {
    const world = new World()
    const state = await pending(world)
    world.instead = [gone]
    await expect(open(world, { attempt: '1.2' }, [state])).rejects.toMatchObject({
      code: 'CKP_COMMIT_LOST',
      retry: 'never',
    })
    expect(world.commits).toBe(1)
  })

  test.each([
    ['rewind', gone],
    ['rewind', consumed],
    ['succession', consumed],
  ] as const)('a %s skips and counts what was taken away, with one warning', async (lineage, instead) => {
    const world = new World()
    const first = await open(world)
    for (const id of [7, 8]) {
      first.send(id)
      await first.snapshot(id)
    }
    const state = await first.snapshot(9)
    world.instead = [instead, instead]
    const { lines, logger } = warnings()
    const harness = await open(world, { attempt: '1.2', lineage, logger }, [state])
    expect([harness.counters.skippedCommits, harness.counters.committed, harness.failures]).toEqual([
      2,
      0,
      [],
    ])
    expect(lines).toEqual([
      expect.objectContaining({
        count: 2,
        msg: 'output that was committed before is gone: it is not committed again',
      }),
    ])
  })
})
