import { expect, test } from 'vitest'
import { harness, runJob } from 'weir-stream/testing'
import failureRate from './failure-rate.ts'

const args = { input: 'in/', output: 'out/', threshold: 0.5, atLeast: 2 }

test('a minute in which more than half failed makes an alert', async () => {
  const request = (status: number, at: number) => ({ service: 'shop', status, at })
  const { sinks } = await runJob(failureRate, {
    args,
    sources: { requests: [request(503, 1000), request(503, 2000), request(200, 3000)] },
  })
  expect(sinks.alerts).toEqual([
    { service: 'shop', from: '1970-01-01T00:00:01.000Z', requests: 3, failed: 2 },
  ])
})

test('a minute goes on after a restore', async () => {
  const step = await harness(failureRate, 'failure-rate', { args })
  step.send({ service: 'shop', status: 503 }, 1000)
  await step.snapshotAndRestore()
  step.send({ service: 'shop', status: 503 }, 2000)
  expect(step.state('shop')).toEqual({ requests: 2, failed: 2 })
  step.watermark(61_000)
  expect(step.out).toEqual([{ service: 'shop', from: '1970-01-01T00:00:01.000Z', requests: 2, failed: 2 }])
  expect(step.state('shop')).toEqual({ requests: 0, failed: 0 })
})
