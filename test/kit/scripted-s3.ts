import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { systemClock } from '#runtime/base/clock'
import type { S3Access } from '#runtime/contract/process-config'
import { S3Objects } from '#runtime/storage/s3-objects'
import { S3Store } from '#runtime/storage/s3-store'
import { tempDir } from '#tools/servers/temp-dir'

export type Answer = (request: IncomingMessage, response: ServerResponse) => void

/**
 * A server that gives the answers that a test writes, with clients of its bucket `bucket`: for
 * answers that no real server gives at will.
 */
export async function scriptedS3() {
  const stack = new AsyncDisposableStack()
  const seen: string[] = []
  const script: { answer: Answer } = { answer: (_, response) => void response.end() }
  const http = createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`)
    request.resume().on('end', () => script.answer(request, response))
  })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  stack.defer(async () => {
    http.closeAllConnections()
    await new Promise((resolve) => http.close(resolve))
  })
  const credentials = await tempDir('scripted-s3')
  stack.defer(() => credentials.remove())
  for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'])
    await writeFile(join(credentials.path, name), 'key')
  const access: S3Access = {
    endpoint: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    region: 'us-east-1',
    forcePathStyle: true,
    credentialsDir: credentials.path,
  }
  const objects = new S3Objects('bucket', access, systemClock)
  const store = new S3Store({ bucket: 'bucket', root: 'job', access, clock: systemClock })
  stack.defer(async () => {
    objects.close()
    await store.close()
  })
  return { script, seen, objects, store, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

export const answering =
  (status: number, body: string, headers: Record<string, string> = {}): Answer =>
  (_, response) => {
    response.writeHead(status, { 'content-length': String(body.length), ...headers })
    response.end(body)
  }
