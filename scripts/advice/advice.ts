/**
 * What a reference page says about a code, a reason or a kind of wait beside its meaning, which
 * stands in the code that uses it.
 */
export interface Advice {
  readonly why: string
  readonly todo: string
  /** Page of docs/failures that tells the whole story, without its ending. */
  readonly page?: string
}

/** `todo` with a link to the page, seen from a page at `docs` (its path from there to docs/). */
export const todoText = ({ todo, page }: Advice, docs: string): string =>
  page === undefined ? todo : `${todo} [More](${docs}failures/${page}.md).`

/** `text` as a cell of a table. */
export const cell = (text: string): string => text.replaceAll('|', '\\|')
