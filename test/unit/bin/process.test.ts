/** What a process says when it ends by a defect. */
import { execFile } from 'node:child_process'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const MODULE = pathToFileURL('runtime/bin/process.ts').href

/** The end of a process whose main function is `main`. */
async function endOf(main: string): Promise<{ code: number; stderr: string }> {
  const source = `import { runProcess } from '${MODULE}'\nrunProcess('weir-test', async () => { ${main} })`
  try {
    await promisify(execFile)(process.execPath, ['--input-type=module', '-e', source])
    throw new Error('the process ended without an error')
  } catch (error) {
    return error as { code: number; stderr: string }
  }
}

test.each([
  ['uncaught exception', 'setImmediate(() => { throw new Error("broken") })'],
  ['unhandled rejection', 'void Promise.reject(new Error("broken"))'],
])('an %s ends the process with its name, the cause and where it was thrown', async (what, main) => {
  const { code, stderr } = await endOf(main)
  expect(code).toBe(1)
  expect(stderr).toMatch(new RegExp(`^weir-test: ${what}, a defect in Weir: Error: broken\n +at `))
})
