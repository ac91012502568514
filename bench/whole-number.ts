/**
 * A whole number from the command line.
 * @throws {Error} naming the option, what was given and the least that is taken
 */
export function wholeNumber(option: string, text: string, least: number): number {
  const n = Number(text)
  if (!Number.isSafeInteger(n) || n < least)
    throw new Error(`${option}: ${text} is not a whole number of ${least} or more.`)
  return n
}
