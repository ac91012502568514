import type { Readable } from 'node:stream'

/**
 * Lines of a stream without their ends; empty ones are left out. Throws when the stream breaks,
 * which node:readline does not.
 */
export async function* linesOf(
  stream: Readable,
  onChunk: () => void = () => undefined,
): AsyncGenerator<string> {
  stream.setEncoding('utf8')
  let rest = ''
  for await (const chunk of stream as AsyncIterable<string>) {
    onChunk()
    const parts = (rest + chunk).split('\n')
    rest = parts.pop() ?? ''
    for (const line of parts) if (line.trim() !== '') yield line
  }
  if (rest.trim() !== '') yield rest
}
