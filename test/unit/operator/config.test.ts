import { expect, test } from 'vitest'
import { parseOperatorConfig } from '#operator/config'

test('parseOperatorConfig() fills defaults', () => {
  expect(parseOperatorConfig('{"defaults":{"image":"weir:1"}}', 'c.json')).toMatchObject({
    watchNamespaces: [],
    server: { port: 8080 },
    lease: { enabled: true, durationMs: 15_000 },
    defaults: { image: 'weir:1', imagePullSecrets: [], resources: {} },
  })
})

test('parseOperatorConfig() reports all problems at once', () => {
  expect(() => parseOperatorConfig('{"workers":0,"nonsense":1,"defaults":{}}', 'c.json')).toThrow(
    /c\.json is not valid:[^]*workers[^]*defaults\.image[^]*nonsense: unknown field/,
  )
  expect(() => parseOperatorConfig('{', 'c.json')).toThrow('c.json is not JSON')
})

test('parseOperatorConfig() refuses a lease that two could hold at once', () => {
  const text = JSON.stringify({ defaults: { image: 'weir:1' }, lease: { renewDeadlineMs: 15_000 } })
  expect(() => parseOperatorConfig(text, 'c.json')).toThrow(/lease\.renewDeadlineMs: must be less/)
})
