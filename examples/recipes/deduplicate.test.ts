/**
 * A test with a restore: a step in the thread of the test, its state and timers through the format
 * of checkpoints.
 *
 * Use it for every step whose state must survive: `snapshotAndRestore` finds what no checkpoint
 * can hold, and what a function kept outside of its state. Time passes by `advance` (processing
 * time) and `watermark` (event time).
 */
import { expect, test } from 'vitest'
import { harness, runJob } from 'weir-stream/testing'
import deduplicate, { type Message } from './deduplicate.ts'

const args = { input: 'not read', output: 'not written' }
const message = (id: string, text = 'hello'): Message => ({ id, text })

test('a message that comes again is left out, also after a restore', async () => {
  const step = await harness(deduplicate, 'first', { args })
  step.send(message('a'))
  await step.snapshotAndRestore()
  step.send(message('a', 'again'))
  step.send(message('b'))
  expect(step.out).toEqual([message('a'), message('b')])
})

test('after a day an id is new again', async () => {
  const step = await harness(deduplicate, 'first', { args })
  step.send(message('a'))
  step.advance(24 * 3_600_000 + 1)
  step.send(message('a'))
  expect(step.out).toEqual([message('a'), message('a')])
})

test('the whole job', async () => {
  const messages = [message('a'), message('a'), message('b')]
  const { sinks } = await runJob(deduplicate, { args, sources: { messages } })
  expect(sinks).toEqual({ out: [message('a'), message('b')] })
})
