import { createHash, timingSafeEqual } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { WeirError, messageOf } from '#runtime/base/errors'

/** The per-job secret that authenticates control, data and REST connections. */
export async function readToken(file: string): Promise<string> {
  try {
    const token = (await readFile(file, 'utf8')).trim()
    if (token.length < 16)
      throw new WeirError(
        'CFG_INVALID',
        `Token file ${file} holds ${token.length} characters, expected at least 16`,
      )
    return token
  } catch (error) {
    if (error instanceof WeirError) throw error
    throw new WeirError('CFG_INVALID', `Cannot read the token file ${file}: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

/** Compares in constant time. */
export function tokenMatches(expected: string, given: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(expected), digest(given))
}
