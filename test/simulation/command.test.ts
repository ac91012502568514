import { describe, expect, test } from 'vitest'
import { main } from '#sim/main'
import { simulate } from '#sim/simulate'

async function run(...args: string[]): Promise<{ code: number; text: string }> {
  let text = ''
  const code = await main(args, { write: (part) => void (text += part), isTerminal: false })
  return { code, text }
}

test('a seed replays identically, another seed gives another run', async () => {
  const [first, again, other] = [
    await simulate({ seed: 7 }),
    await simulate({ seed: 7 }),
    await simulate({ seed: 8 }),
  ]
  expect(again).toEqual(first)
  expect(other.traceHash).not.toBe(first.traceHash)
})

describe('the command', () => {
  test('prints how often each rare state was reached, and exits with 0 when all seeds hold', async () => {
    const { code, text } = await run('--seeds', '3', '--from', '5')
    expect(code).toBe(0)
    expect(text).toMatch(/^adopted +\d+ +\d+$/m)
    expect(text).toMatch(/0 of 3 seeds failed; processor time per seed: \d+ ms \(median\)/)
  })

  test('tells the story of a seed', async () => {
    const { code, text } = await run('--seed', '5', '--trace')
    expect(code).toBe(0)
    expect(text).toMatch(/^ +\d+\.\d{3} {2}operator +run 1 of a: /m)
    expect(text).toMatch(/^ +\d+\.\d{3} {2}log +a 1 epoch 1 EPOCH_OPEN/m)
    expect(text).toMatch(/seed 5: ok, .*, trace \d+-[0-9a-f]{8}\n$/)
  })

  test.each([['--seeds', 'many'], ['--what'], ['--seed', '-1']])(
    'wrong usage exits with 2: %s',
    async (...args) => {
      const { code, text } = await run(...args)
      expect(code).toBe(2)
      expect(text).toMatch(/^error: not options of the simulator: .*\nUsage: /)
    },
  )
})
