/**
 * What a run of the tests puts into the directory for temporary files is in one of its own, which
 * goes when the run ends, however its tests end.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

let directory: string | undefined

/** Global set-up of vitest: before any test process starts. */
export function setup(): void {
  directory = mkdtempSync(join(tmpdir(), 'weir-tests-'))
  // Some tests act as another user.
  chmodSync(directory, 0o755)
  process.env['TMPDIR'] = directory
}

export function teardown(): void {
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true, maxRetries: 3 })
}
