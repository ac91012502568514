import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/**
 * The same question put to programs that know nothing of Weir. A word is a run of a-z after
 * lower-casing, byte by byte.
 */
export const PIPELINE = [
  'find "$1" -type f -exec cat {} +',
  "tr 'A-Z' 'a-z'",
  "tr -cs 'a-z' '\\n'",
  'sort',
  'uniq -c',
].join(' | ')

/**
 * How often each word occurs in the files below `directory`.
 * @throws when the pipeline fails
 */
export async function independentCount(directory: string): Promise<Map<string, number>> {
  const child = spawn('sh', ['-c', PIPELINE, 'sh', directory], {
    env: { ...process.env, LC_ALL: 'C' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  const counts = new Map<string, number>()
  for await (const line of createInterface({ input: child.stdout })) {
    const [, n, word] = /^\s*([0-9]+) ([a-z]+)$/.exec(line) ?? []
    if (n !== undefined && word !== undefined) counts.set(word, Number(n))
  }
  const code = await ended
  if (code !== 0) throw new Error(`The pipeline ${PIPELINE} ended with exit code ${code}.`)
  return counts
}
