import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { LiveBlock } from '#cli/progress/live-block'

function drawn(env: NodeJS.ProcessEnv, isTTY: boolean | undefined): string {
  const out = Object.assign(new PassThrough(), { isTTY, columns: 80 }) as unknown as NodeJS.WriteStream
  const live = new LiveBlock(out, env)
  live.show(['state: Running'])
  return String((out as unknown as PassThrough).read() ?? '')
}

test('the block is dimmed on a terminal, plain with NO_COLOR, and absent elsewhere', () => {
  expect(drawn({}, true)).toContain('\x1b[2m')
  expect(drawn({ NO_COLOR: '1' }, true)).toMatch(/^-+\nstate: Running\n$/)
  expect(drawn({ TERM: 'dumb' }, true)).toBe('')
  expect(drawn({}, undefined)).toBe('')
})
