/**
 * Lines of a stream of text without their ends; blank ones are left out. `onChunk` is called for
 * every piece that arrives. Throws what the stream throws, which node:readline does not.
 */
export async function* linesOf(
  chunks: AsyncIterable<string>,
  onChunk: () => void = () => undefined,
): AsyncGenerator<string> {
  let rest = ''
  for await (const chunk of chunks) {
    onChunk()
    const parts = (rest + chunk).split('\n')
    rest = parts.pop() ?? ''
    for (const line of parts) if (line.trim() !== '') yield line
  }
  if (rest.trim() !== '') yield rest
}
