import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * The oracle of fixtures/jobs/sequence.ts: every key's committed counts must be 1, 2, 3 ... n, each
 * once. Gives what offends in words, empty when nothing does, and the number of records. Hidden
 * files (uncommitted output) do not count.
 */
export async function checkSequences(
  directory: string,
): Promise<{ readonly offences: string[]; readonly records: number }> {
  const counts = new Map<string, number[]>()
  let records = 0
  for (const name of await readdir(directory, { recursive: true })) {
    if (!name.endsWith('.jsonl') || name.split('/').some((part) => part.startsWith('.'))) continue
    for (const line of (await readFile(join(directory, name), 'utf8')).split('\n')) {
      if (line === '') continue
      const { key, count } = JSON.parse(line) as { key: string; count: number }
      records++
      const seen = counts.get(key)
      if (seen === undefined) counts.set(key, [count])
      else seen.push(count)
    }
  }
  const offences: string[] = []
  for (const [key, seen] of counts) {
    seen.sort((a, b) => a - b)
    const at = seen.findIndex((count, i) => count !== i + 1)
    if (at >= 0)
      offences.push(
        `${key}: expected ${at + 1}, found ${seen[at]} (${seen[at] === seen[at - 1] ? 'repeated' : 'lost'})`,
      )
  }
  return { offences, records }
}
