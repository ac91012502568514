import { relative } from 'node:path'

/**
 * A command as the user can paste it: words quoted where a shell needs it, paths below `cwd` made
 * relative.
 */
export const shellWords = (words: readonly string[], cwd: string): string =>
  words.map((word) => quote(shorten(word, cwd))).join(' ')

function shorten(word: string, cwd: string): string {
  if (!word.startsWith('/')) return word
  const below = relative(cwd, word)
  return below === '' || below.startsWith('..') ? word : below
}

const quote = (word: string): string =>
  /^[A-Za-z0-9_./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
