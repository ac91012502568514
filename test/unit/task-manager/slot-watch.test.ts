import { describe, expect, test } from 'vitest'
import { silentLogger } from '#runtime/base/logger'
import type { WeirError } from '#runtime/base/errors'
import type { SlotThread } from '#runtime/task-manager/slot-threads'
import { SlotWatch } from '#runtime/task-manager/slot-watch'
import type { ThreadPosition } from '#runtime/task-manager/thread-position'
import { settled, TestClock } from '#runtime/testing/test-clock'

const HEARTBEAT_MS = 500

function watched(position: ThreadPosition | undefined) {
  const clock = new TestClock()
  const given: WeirError[] = []
  const watch = new SlotWatch({
    taskManager: 'tm-1',
    clock,
    logger: silentLogger,
    onGivenUp: (_, error) => given.push(error),
  })
  const thread: SlotThread = {
    deploy: () => undefined,
    send: () => undefined,
    position: () => Promise.resolve(position),
    terminate: () => Promise.resolve(),
  }
  const threads = new Map([[0, thread]])
  const silentFor = async (ms: number): Promise<void> => {
    for (let passed = 0; passed <= ms; passed += HEARTBEAT_MS) {
      watch.asked(threads)
      await settled()
      clock.advance(HEARTBEAT_MS)
    }
  }
  return { watch, clock, threads, given, silentFor }
}
const SPIN = { vertex: 'spin', subtask: 1, operator: 'spin', at: 'loop (job.ts:4:24)' }

describe('SlotWatch', () => {
  test('says after two seconds which operator does not come back, and where it is', async () => {
    const { watch, silentFor } = watched(SPIN)
    await silentFor(1500)
    expect(watch.standstills).toEqual([])
    await silentFor(500)
    expect(watch.standstills).toMatchObject([
      {
        kind: 'operator',
        message:
          'operator spin, subtask 1, on tm-1 does not come back from a call; it is in loop (job.ts:4:24)',
      },
    ])
  })

  test('says that a slot is silent when its thread cannot be asked', async () => {
    const { watch, silentFor } = watched(undefined)
    await silentFor(2000)
    expect(watch.standstills[0]?.message).toBe(
      "slot 0 of tm-1 does not come back from a call of the job's code",
    )
  })

  test('an answer ends the silence', async () => {
    const { watch, silentFor, given } = watched(SPIN)
    await silentFor(30_000)
    watch.answered(0)
    expect(watch.standstills).toEqual([])
    await silentFor(40_000)
    expect(given).toEqual([])
  })

  test('gives a slot up after a minute, once', async () => {
    const { silentFor, given } = watched(SPIN)
    await silentFor(120_000)
    expect(given).toHaveLength(1)
    expect(given[0]).toMatchObject({ code: 'USR_FAILED', retry: 'restart-job' })
    expect(given[0]?.message).toMatch(/^Nothing has come back for 60 s: operator spin, subtask 1/)
  })

  test('a process that stood still does not hold that against its slots', async () => {
    const { watch, clock, threads, given } = watched(SPIN)
    watch.asked(threads)
    clock.advance(600_000)
    watch.asked(threads)
    await settled()
    expect(watch.standstills).toEqual([])
    expect(given).toEqual([])
  })
})
