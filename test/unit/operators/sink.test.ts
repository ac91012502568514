import { describe, expect, test } from 'vitest'
import { WeirError } from '#runtime/base/errors'
import type { Sink, SinkWriter } from '#runtime/connectors/sink'
import { SinkOperator } from '#runtime/operators/sink'
import { OperatorHarness } from '#runtime/testing/operator-harness'

/** A sink on a shared world of transactions. */
class World {
  readonly committed = new Map<string, readonly number[]>()
  readonly recovered: string[][] = []
  commits = 0
  failCommits = 0
  hold: Promise<void> = Promise.resolve()
  failPrepare = false

  sink(): Sink<number, { id: string; records: readonly number[] }> {
    return {
      description: 'world',
      guarantee: 'exactly-once',
      createWriter: ({
        subtask,
        attempt,
      }): SinkWriter<number, { id: string; records: readonly number[] }> => {
        let open: number[] = []
        return {
          recover: (restored) => void this.recovered.push(restored.map((r) => r.id)),
          write: (n) => void open.push(n),
          prepare: async (checkpointId) => {
            const records = open
            open = []
            await this.hold
            if (this.failPrepare) throw new WeirError('STO_UNAVAILABLE', 'no')
            return records.length === 0 ? undefined : { id: `${attempt}/${subtask}/${checkpointId}`, records }
          },
          commit: async ({ id, records }) => {
            this.commits++
            if (this.failCommits-- > 0) throw new WeirError('STO_UNAVAILABLE', 'later')
            this.committed.set(id, records)
          },
          close: () => {},
        }
      },
    }
  }
}

const open = (
  world: World,
  options: object = {},
  states = [] as Parameters<typeof OperatorHarness.open>[1],
) => OperatorHarness.open({ create: () => new SinkOperator(world.sink()), ...options }, states)

describe('SinkOperator', () => {
  test('commits with a permit, not before', async () => {
    const world = new World()
    const harness = await open(world)
    harness.send(1)
    await harness.snapshot(1)
    expect(world.committed.size).toBe(0)
    await harness.complete(1)
    expect([...world.committed]).toEqual([['1.1/0/1', [1]]])
    expect(harness.counters.committed).toBe(1)
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
    expect([...world.committed.values()].flat()).toEqual([1, 2])
    expect(world.commits).toBe(2)
    await harness.complete(3)
    expect([...world.committed.values()].flat()).toEqual([1, 2, 3])
  })

  test('a transaction of an aborted checkpoint rides with the next', async () => {
    const world = new World()
    const first = await open(world)
    first.send(1)
    await first.snapshot(1)
    first.send(2)
    const state = await first.snapshot(2)
    await open(world, { attempt: '1.2' }, [state])
    expect([...world.committed.values()].flat()).toEqual([1, 2])
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
    expect([...world.committed.values()].flat()).toEqual([1])
    await open(world, { attempt: '1.3' }, [two])
    expect([...world.committed.values()].flat()).toEqual([1, 2])
  })

  test('after a change of parallelism each transaction is committed by one subtask, and known to all', async () => {
    const world = new World()
    const states = await Promise.all(
      [0, 1, 2].map(async (subtask) => {
        const harness = await open(world, { subtask, parallelism: 3 })
        harness.send(subtask)
        return harness.snapshot(1)
      }),
    )
    await Promise.all(
      [0, 1].map((subtask) => open(world, { subtask, parallelism: 2, attempt: '2.1' }, states)),
    )
    expect([...world.committed.values()].flat().sort()).toEqual([0, 1, 2])
    expect(world.commits).toBe(3)
    expect(world.recovered.slice(-2)).toEqual([
      ['1.1/0/1', '1.1/1/1', '1.1/2/1'],
      ['1.1/0/1', '1.1/1/1', '1.1/2/1'],
    ])
  })

  test("a transient failure of commit is the caller's to repeat", async () => {
    const world = new World()
    const harness = await open(world)
    harness.send(1)
    await harness.snapshot(1)
    world.failCommits = 1
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
