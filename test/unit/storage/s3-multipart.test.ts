import { expect, test } from 'vitest'
import { MULTIPART_ABOVE_BYTES } from '#runtime/storage/s3-multipart'
import { answering, scriptedS3 } from '#test/kit/scripted-s3'

test('an upload in parts whose caller gives up is aborted at the server', async () => {
  await using server = await scriptedS3()
  const { store, seen } = server
  const abort = new AbortController()
  const reason = new Error('the attempt was cancelled')
  server.script.answer = (request, response) => {
    const { method, url = '' } = request
    if (method === 'PUT') return abort.abort(reason)
    const started = '<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>'
    answering(method === 'POST' ? 200 : 204, url.includes('uploads') ? started : '')(request, response)
  }
  const { signal } = abort
  const bytes = Buffer.alloc(MULTIPART_ABOVE_BYTES + 1)
  await expect(store.create('chk/1-1/v-0.state', bytes, { signal })).rejects.toBe(reason)
  expect(seen.filter((r) => r.startsWith('DELETE'))).toEqual([
    expect.stringMatching(/^DELETE \/bucket\/job\/chk\/1-1\/v-0\.state\?.*uploadId=u1/),
  ])
})
