import { renameSync, writeFileSync } from 'node:fs'

/** A reader sees the old content or the new one, never a part. */
export function writeAtomically(path: string, content: string, mode = 0o644): void {
  const temporary = `${path}.${process.pid}.tmp`
  writeFileSync(temporary, content, { mode })
  renameSync(temporary, path)
}
