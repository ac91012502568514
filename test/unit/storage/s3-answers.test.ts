/** Answers of an S3 server that are not what was asked for. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { answering, scriptedS3, type Answer } from '#test/kit/scripted-s3'

const TEXT = 'one\ntwo\nthree\n'
const unavailable = expect.objectContaining({ code: 'STO_UNAVAILABLE' })

let server: Awaited<ReturnType<typeof scriptedS3>>
beforeEach(async () => {
  server = await scriptedS3()
})
afterEach(() => server[Symbol.asyncDispose]())

describe('a range', () => {
  const range = (text: string) => ({ 'content-range': `bytes ${text}` })

  test.each<[string, Answer]>([
    ['is shorter than asked for', answering(206, TEXT.slice(0, 8), range('0-7/8'))],
    ['is the whole object', answering(200, TEXT)],
    ['is longer than asked for', answering(206, TEXT, range('0-13/14'))],
    ['is empty', answering(206, '', range('0-0/14'))],
  ])('that %s is no part of a file', async (_, answer) => {
    server.script.answer = answer
    await expect(server.objects.getRange('key', 0, 12, undefined)).rejects.toEqual(unavailable)
    await expect(server.objects.getRange('key', 0, 12, undefined)).rejects.toThrow(
      /Cannot read s3:\/\/bucket\/key: the server answered \d+ bytes for the 12 bytes \[0, 12\)/,
    )
  })

  test.each<[string, Answer, number, number]>([
    ['stops in the middle', answering(206, TEXT.slice(0, 8), range('0-7/14')), 0, 12],
    ['begins elsewhere', answering(206, TEXT.slice(0, 8), range('0-7/14')), 2, 10],
    ['says nothing about where it lies', answering(206, TEXT.slice(0, 8)), 0, 8],
    ['is the whole object', answering(200, TEXT), 4, 8],
    ['is not the end that was asked for', answering(206, TEXT.slice(0, 4), range('0-3/14')), -4, 0],
    ['is empty', answering(206, '', range('0-7/14')), 0, 8],
  ])('that %s is not read from the checkpoint store', async (_, answer, start, end) => {
    server.script.answer = answer
    await expect(server.store.getRange('key', start, end)).rejects.toEqual(unavailable)
  })

  test.each<[string, string, number, number]>([
    ['0-7/14', TEXT.slice(0, 8), 0, 8],
    ['8-13/14', TEXT.slice(8), 8, 100],
    ['10-13/14', TEXT.slice(-4), -4, 0],
    ['0-13/14', TEXT, -100, 0],
  ])('of %s is read from the checkpoint store when it was asked for', async (at, body, start, end) => {
    server.script.answer = answering(206, body, range(at))
    expect(Buffer.from(await server.store.getRange('key', start, end)).toString()).toBe(body)
  })
})

describe('a list that is cut short without saying where it goes on', () => {
  test('is not a whole list of objects', async () => {
    server.script.answer = answering(
      200,
      '<ListBucketResult><IsTruncated>true</IsTruncated>' +
        '<Contents><Key>job/log/1</Key><Size>1</Size></Contents></ListBucketResult>',
    )
    await expect(server.objects.list('job/')).rejects.toEqual(unavailable)
    await expect(server.store.list('log/')).rejects.toEqual(unavailable)
    await expect(server.store.list('log/')).rejects.toThrow(
      /s3:\/\/bucket\/job\/log\/: .* cut the list short/,
    )
    expect(await server.store.list('log/', { limit: 1 })).toHaveLength(1)
  })

  test('is not a whole list of uploads', async () => {
    server.script.answer = answering(
      200,
      '<ListMultipartUploadsResult><IsTruncated>true</IsTruncated></ListMultipartUploadsResult>',
    )
    await expect(server.objects.listUploads('job/')).rejects.toEqual(unavailable)
  })
})

describe('a write of which the server says that a directory has its name', () => {
  test('is tried again: it says so too while requests for one key overlap', async () => {
    const code = 'ExistingObjectIsDirectory'
    server.script.answer = answering(409, `<Error><Code>${code}</Code><Message>It is.</Message></Error>`)
    const write = server.objects.put('key', Buffer.from('x'))
    await expect(write).rejects.toMatchObject({ code: 'STO_UNAVAILABLE', retry: 'backoff' })
    await expect(write).rejects.toThrow('a file and a directory want the same name')
  })
})
