import { describe, expect, test } from 'vitest'
import type { SinkWriter, TransactionId } from '#runtime/connectors/sink'
import { transactionalSink, type TransactionalSinkOptions } from '#runtime/connectors/transactional/sink'

const transaction: TransactionId = { job: 'job uid:1', sink: 'a/b', subtask: 2, attempt: '3.4', after: 5 }

function writerOf(more: Partial<TransactionalSinkOptions<number, any>> = {}) {
  const seen: unknown[] = []
  const sink = transactionalSink<number, any>({
    name: 'numbers',
    prepare: (rows, id) => {
      seen.push([rows, id])
      return id
    },
    commit: (id) => void seen.push(['commit', id]),
    ...more,
  })
  const writer = sink.createWriter({} as never) as SinkWriter<number, any>
  writer.begin?.(transaction)
  return { writer, seen }
}

describe('transactionalSink()', () => {
  test('prepares the rows of a transaction under an id of its own, and no rows not at all', async () => {
    const { writer, seen } = writerOf()
    expect(await writer.prepare()).toBeUndefined()
    writer.write(1, 0)
    writer.write(2, 0)
    const id = 'job%20uid%3A1:a%2Fb:2:3.4:5'
    expect(await writer.prepare()).toBe(id)
    expect(seen).toEqual([[[1, 2], id]])
    expect(await writer.prepare()).toBeUndefined()
  })

  test('what is written while a transaction is being prepared belongs to the next', async () => {
    const gate = Promise.withResolvers<string>()
    const prepared: (readonly number[])[] = []
    const { writer } = writerOf({
      prepare: (rows) => {
        prepared.push([...rows])
        return gate.promise
      },
    })
    writer.write(1, 0)
    const first = writer.prepare()
    writer.write(2, 0)
    gate.resolve('p')
    await first
    await writer.prepare()
    expect(prepared).toEqual([[1], [2]])
  })

  test('a commit that throws is to be called again, with the name of the sink', async () => {
    const { writer } = writerOf({ commit: () => Promise.reject(new Error('no route to host')) })
    await expect(writer.commit('x')).rejects.toMatchObject({
      code: 'STO_UNAVAILABLE',
      message: 'numbers: commit failed: no route to host',
    })
  })

  test('asks of what it finds whether it is abandoned; ids that are not its own are not', async () => {
    const asked: TransactionId[] = []
    const answers: boolean[] = []
    const { writer } = writerOf({
      removeAbandoned: (isAbandoned) => {
        for (const id of ['job%20uid%3A1:a%2Fb:2:3.4:5', 'else', 'a:b:c:d:e', '%:b:1:1.1:1'])
          answers.push(isAbandoned(id))
      },
    })
    await writer.recover?.((it) => asked.push(it) > 0)
    expect(asked).toEqual([transaction])
    expect(answers).toEqual([true, false, false, false])
  })

  test('a prepare that gives nothing would lose rows, so it fails', async () => {
    const { writer } = writerOf({ prepare: () => undefined })
    writer.write(1, 0)
    await expect(writer.prepare()).rejects.toThrow(
      'numbers: prepare gave nothing for 1 rows. Expected what commit needs to know.',
    )
  })

  test.each<[any, string]>([
    [{ name: '' }, 'transactionalSink: name is ""; expected a text that tells what it is.'],
    [{ name: 'n', prepare() {} }, 'transactionalSink n: commit is undefined, not a function.'],
    [{ name: 'n', comit() {} }, 'comit'],
  ])('%j is refused', (options, message) => {
    expect(() => transactionalSink(options)).toThrow(message)
  })
})
