import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { tempDir } from '#tools/servers/temp-dir'

const DEMO = fileURLToPath(new URL('../../scripts/demo.ts', import.meta.url))

test('the demo loses a TaskManager, recovers, and commits every count exactly once', async () => {
  await using dir = await tempDir('demo')
  const child = spawn(process.execPath, [DEMO, '--megabytes', '8', '--dir', join(dir.path, 'demo')], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  expect(code, output).toBe(0)
  expect(output).toMatch(/kill -9 of TaskManager tm-2\n/)
  expect(output).toMatch(/restarting from checkpoint \d+/)
  expect(output).toMatch(/running again after \d+ ms/)
  expect(output).toMatch(/equal: [\d,]+ words, .* each count of each word was committed exactly once/)
})
