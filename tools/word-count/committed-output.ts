import { createReadStream } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { EmittedCounts } from './emitted-counts.ts'

/**
 * Part files that the sink has made visible; what is not committed has a name that begins with a
 * dot.
 */
export async function committedFiles(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true, recursive: true }).catch(() => [])
  return entries
    .filter(
      (entry) =>
        entry.isFile() &&
        entry.name.endsWith('.jsonl') &&
        !join(entry.parentPath, entry.name).slice(directory.length).includes('/.'),
    )
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted()
}

/**
 * Every line of every committed file, added to `emitted`.
 * @throws when a line is not `{"key": word, "count": n}`: a torn line is a failure of the demo
 */
export async function readEmitted(
  files: readonly string[],
  emitted: Map<string, EmittedCounts> = new Map(),
): Promise<Map<string, EmittedCounts>> {
  for (const file of files)
    for await (const line of createInterface({ input: createReadStream(file) })) {
      const { key, count } = parseLine(file, line)
      let counts = emitted.get(key)
      if (counts === undefined) emitted.set(key, (counts = new EmittedCounts()))
      counts.add(count)
    }
  return emitted
}

function parseLine(file: string, line: string): { key: string; count: number } {
  try {
    const { key, count } = JSON.parse(line) as { key: unknown; count: unknown }
    if (typeof key === 'string' && Number.isSafeInteger(count)) return { key, count: count as number }
  } catch {
    // Refused below, as any other line that is not a count.
  }
  throw new Error(`${file} has a line that is not a count: ${line.slice(0, 200)}`)
}
