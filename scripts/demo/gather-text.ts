import { glob, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export interface GatheredText {
  readonly files: number
  readonly bytes: number
  /** How often each text was copied to reach the wanted size. */
  readonly rounds: number
}

const TEXTS = ['**/*.{md,markdown,MD}', '**/{LICENSE,LICENCE,COPYING,NOTICE,README}{,.txt}']

/**
 * Copies the READMEs, change logs, licences and other prose of the installed packages to `into`,
 * and again until there are `wantedBytes`. Each copy ends in a newline, so that no word spans two
 * files for whoever joins them.
 * @throws when there is no text below `root`
 */
export async function gatherText(root: string, into: string, wantedBytes: number): Promise<GatheredText> {
  const texts: Buffer[] = []
  const seen = new Set<string>()
  for await (const path of glob(TEXTS, { cwd: root })) {
    if (seen.has(path)) continue
    seen.add(path)
    const text = await readText(join(root, path))
    if (text !== undefined) texts.push(text)
  }
  if (texts.length === 0) throw new Error(`There is no README below ${root}. Run npm ci first.`)
  let files = 0
  let bytes = 0
  let rounds = 0
  for (; bytes < wantedBytes; rounds++) {
    const folder = join(into, `round-${rounds + 1}`)
    await mkdir(folder, { recursive: true })
    for (const [index, text] of texts.entries()) {
      if (bytes >= wantedBytes) break
      await writeFile(join(folder, `${String(index + 1).padStart(5, '0')}.txt`), text)
      files++
      bytes += text.byteLength
    }
  }
  return { files, bytes, rounds }
}

/**
 * The two characters outside ASCII whose lower case is or begins with an ASCII letter: a program
 * that works on bytes cannot know them.
 */
const FOLDS_TO_ASCII = /[\u0130\u212A]/

/**
 * Undefined for what is not plain text to every program: empty, binary, or with letters that only
 * Unicode lower-cases to a-z.
 */
async function readText(path: string): Promise<Buffer | undefined> {
  const bytes = await readFile(path).catch(() => undefined)
  if (bytes === undefined || bytes.byteLength === 0 || bytes.includes(0)) return undefined
  if (FOLDS_TO_ASCII.test(bytes.toString('utf8'))) return undefined
  return bytes.at(-1) === 0x0a ? bytes : Buffer.concat([bytes, Buffer.from('\n')])
}
