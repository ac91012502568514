import { readdir, readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { WeirError } from '#runtime/base/errors'
import { files } from '#runtime/connectors/files/index'
import { generator } from '#runtime/connectors/generator/source'
import { simpleSource } from '#runtime/connectors/simple/source'
import type { Sink, SinkWriter, TransactionId } from '#runtime/connectors/sink'
import type { Source, SplitReader } from '#runtime/connectors/source'
import { transactionalSink, type TransactionalSinkOptions } from '#runtime/connectors/transactional/sink'
import { assertConnector } from '#runtime/testing/assert-connector'
import { tempDir } from '#tools/servers/temp-dir'

interface Row {
  readonly id: number
}
const record = (n: number): Row => ({ id: n })

/** A system outside that stages rows under an id, and publishes them. */
class Outside {
  readonly staged = new Map<string, readonly Row[]>()
  readonly published: (readonly [id: string, rows: readonly Row[]])[] = []
  readonly judge = { record, visible: () => this.published.flatMap(([, rows]) => rows), kills: 12 }

  isPublished(id: string): boolean {
    return this.published.some(([other]) => other === id)
  }

  sink(more: Partial<TransactionalSinkOptions<Row, string>> = {}): Sink<Row> {
    return transactionalSink<Row, string>({
      name: 'outside',
      prepare: (rows, id) => {
        this.staged.set(id, [...rows])
        return id
      },
      commit: (id) => {
        if (!this.isPublished(id)) this.publish(id)
      },
      removeAbandoned: (isAbandoned) => {
        for (const id of [...this.staged.keys()].filter(isAbandoned)) this.staged.delete(id)
      },
      ...more,
    })
  }

  publish(id: string): void {
    const rows = this.staged.get(id)
    if (rows === undefined) throw new Error(`nothing is staged as ${id}`)
    this.published.push([id, rows])
  }

  /** A sink whose writer is `change` of one that keeps to the contract. */
  written(change: (writer: SinkWriter<Row, string>, own: { rows: Row[]; id: string }) => object): Sink<Row> {
    const name = (id: TransactionId): string => JSON.stringify(id)
    return {
      description: 'outside',
      guarantee: 'exactly-once',
      createWriter: () => {
        const own = { rows: [] as Row[], id: '' }
        const writer: SinkWriter<Row, string> = {
          begin: (id) => void (own.id = name(id)),
          write: (row) => void own.rows.push(row),
          prepare: () => {
            const { rows, id } = own
            own.rows = []
            if (rows.length > 0) this.staged.set(id, rows)
            return Promise.resolve(rows.length > 0 ? id : undefined)
          },
          commit: (id) => {
            if (!this.isPublished(id)) this.publish(id)
            return Promise.resolve('committed')
          },
          close() {},
        }
        return { ...writer, ...change(writer, own) }
      },
    }
  }
}

async function refusal(check: Promise<void>): Promise<WeirError> {
  const error = await check.then(
    () => undefined,
    (cause: unknown) => cause,
  )
  if (!(error instanceof WeirError)) throw new Error(`expected a WeirError, got ${String(error)}`)
  return error
}

describe('assertConnector() of a sink', () => {
  test('passes one that keeps to the contract', async () => {
    const outside = new Outside()
    await expect(assertConnector(outside.sink(), outside.judge)).resolves.toBeUndefined()
    const other = new Outside()
    await expect(
      assertConnector(
        other.written(() => ({})),
        other.judge,
      ),
    ).resolves.toBeUndefined()
  })

  test('passes what is at least once and says so', async () => {
    const outside = new Outside()
    const sink = outside.sink({ commit: (id) => outside.publish(id) })
    await expect(
      assertConnector({ ...sink, guarantee: 'at-least-once' }, outside.judge),
    ).resolves.toBeUndefined()
  })

  type Broken = readonly [what: string, rule: string, sink: (outside: Outside) => Sink<Row>]
  const broken: readonly Broken[] = [
    [
      'publishes in prepare',
      'becomes visible with its commit, not before',
      (o) =>
        o.sink({
          prepare: (rows, id) => {
            o.published.push([id, [...rows]])
            return id
          },
          commit() {},
        }),
    ],
    [
      'writes through',
      'becomes visible with its commit, not before',
      (o) => o.written(() => ({ write: (row: Row) => void o.published.push(['', [row]]) })),
    ],
    [
      'publishes again when a commit is repeated',
      'committing it again changes nothing',
      (o) => o.sink({ commit: (id) => o.publish(id) }),
    ],
    [
      'refuses a commit that is repeated',
      'committing it again changes nothing',
      (o) =>
        o.sink({
          commit: (id) => {
            o.publish(id)
            if (!o.staged.delete(id)) throw new Error('gone')
          },
        }),
    ],
    [
      'holds in memory what it has prepared',
      'a restore commits what its checkpoint holds',
      (o) =>
        o.written(() => {
          const own = new Map<string, readonly Row[]>()
          return {
            commit: (id: string) => {
              own.set(id, o.staged.get(id) ?? [])
              if (o.staged.size === own.size) o.published.push([id, own.get(id) ?? []])
              return Promise.resolve('committed')
            },
          }
        }),
    ],
    [
      'cuts the transaction late',
      'a transaction is cut when prepare is called',
      (o) =>
        o.written((writer) => ({
          prepare: async () => {
            await Promise.resolve()
            await Promise.resolve()
            await new Promise((resolve) => setImmediate(resolve))
            return writer.prepare()
          },
        })),
    ],
    [
      'prepares nothing',
      'becomes visible with its commit, not before',
      (o) => o.written(() => ({ prepare: () => Promise.resolve(undefined) })),
    ],
    [
      'removes whatever is staged',
      'prepared transactions survive another parallelism',
      (o) => o.sink({ removeAbandoned: () => o.staged.clear() }),
    ],
    [
      'numbers its transactions anew in each attempt',
      'a restore commits what its checkpoint holds',
      (o) =>
        o.written((_, own) => {
          let n = 0
          return { begin: () => void (own.id = `tx-${n++}`) }
        }),
    ],
    [
      'loses what is written between two batches',
      'becomes visible',
      (o) => {
        let n = 0
        return o.written((writer) => ({
          write: (row: Row) => (n++ % 2 === 0 ? writer.write(row, 0) : undefined),
        }))
      },
    ],
  ]
  test.each(broken.map(([what, rule, sink]) => ({ what, rule, sink })))(
    'catches one that $what',
    async ({ rule, sink }) => {
      const outside = new Outside()
      const error = await refusal(assertConnector(sink(outside), outside.judge))
      expect(error.message).toMatch(/^Sink outside breaks a rule: /)
      expect(error.context['rule']).toMatch(new RegExp(rule))
    },
  )

  test('says what readers found', async () => {
    const outside = new Outside()
    const sink = outside.sink({ commit: (id) => outside.publish(id) })
    const { message } = await refusal(assertConnector(sink, outside.judge))
    expect(message).toContain('Readers found {"id":16} twice and not once')
  })

  test('refuses options that cannot judge', async () => {
    const sink = new Outside().sink()
    const { code, message } = await refusal(
      assertConnector(sink, { record: () => record(1), visible: () => [] }),
    )
    expect(code).toBe('CFG_INVALID')
    expect(message).toContain('record: (n) => another record for each n')
  })
})

describe('assertConnector() of a source', () => {
  const numbers = (more: object = {}): Source<number> =>
    simpleSource<number, number>({
      name: 'numbers',
      bounded: true,
      *read(from = 0) {
        for (let n = from; n < 3000; n++) yield { value: n, next: n + 1 }
      },
      ...more,
    })
  const reading = (change: (reader: SplitReader<number, any, any>) => object): Source<number> => {
    const source = generator({ count: 5000, splits: 3, make: (n) => n })
    return {
      ...source,
      description: 'numbers',
      createReader: (context) => {
        const reader = source.createReader(context)
        const own: SplitReader<number, any, any> = {
          addSplit: (split, position) => reader.addSplit(split, position),
          poll: (out) => reader.poll(out),
          snapshot: () => reader.snapshot(),
          close: () => reader.close?.(),
        }
        return { ...own, ...change(own) }
      },
    }
  }

  test.each<[string, Source<any>, object]>([
    ['simpleSource', numbers(), {}],
    ['generator', generator({ count: 5000, splits: 3, make: (n) => ({ n }) }), {}],
    ['one that never ends', generator({ make: (n) => n % 7 }), { records: 2000 }],
    ['one that is wrapped', reading(() => ({})), {}],
  ])('passes %s', async (_, source, options) => {
    await expect(assertConnector(source, { kills: 6, ...options })).resolves.toBeUndefined()
  })

  test('passes files.jsonl, as a source and as a sink', async () => {
    await using dir = await tempDir('assert-connector')
    const sink = files.jsonl<Row>(dir.path)
    const visible = async () => {
      const names = (await readdir(dir.path)).filter((name) => !name.startsWith('.'))
      const texts = await Promise.all(names.map((name) => readFile(`${dir.path}/${name}`, 'utf8')))
      return texts.flatMap((text) => text.trim().split('\n')).map((line) => JSON.parse(line) as Row)
    }
    await expect(assertConnector(sink, { record, visible, kills: 6 })).resolves.toBeUndefined()
    const { description, bounded, createDiscovery, createReader } = files.jsonl<Row>(dir.path)
    const source = { description, bounded, createDiscovery, createReader }
    await expect(assertConnector(source, { kills: 4 })).resolves.toBeUndefined()
  })

  test.each<[string, string, Source<any>]>([
    [
      'stores the position of the record before',
      'reading on from a snapshot',
      numbers({
        *read(from = 0) {
          for (let n = from; n < 3000; n++) yield { value: n, next: n }
        },
      }),
    ],
    [
      'skips a record when it reads on',
      'reading on from a snapshot',
      numbers({
        *read(from = -1) {
          for (let n = from + 1; n < 3000; n++) yield { value: n, next: n + 1 }
        },
      }),
    ],
    [
      'forgets its positions',
      'reading on from a snapshot',
      reading((reader) => ({ addSplit: (split: unknown) => reader.addSplit(split, undefined) })),
    ],
    [
      'forgets splits that it has not begun',
      'reading on from a snapshot',
      reading((reader) => ({ snapshot: () => reader.snapshot().slice(0, 1) })),
    ],
    [
      'gives other records each time',
      'a split that is read again gives the same records',
      (() => {
        let reads = 0
        return numbers({
          *read() {
            reads++
            for (let n = 0; n < 10; n++) yield { value: n * reads, next: n }
          },
        })
      })(),
    ],
    [
      'finds its splits again after a restore',
      'discovery gives every split once',
      {
        ...generator({ count: 10, make: (n) => n }),
        createDiscovery: () => {
          let isDone = false
          return {
            open() {},
            poll(emit) {
              if (!isDone) emit({ index: 0, of: 1 })
              isDone = true
              return 'done'
            },
            snapshot: () => null,
          }
        },
      },
    ],
    [
      'stores what is no data',
      'reading on from a snapshot',
      reading((reader) => ({
        snapshot: () => reader.snapshot().map(({ split }) => ({ split, position: () => 1 })),
      })),
    ],
  ])('catches one that %s', async (_, rule, source) => {
    const error = await refusal(assertConnector(source, { kills: 6 }))
    expect(error.message).toMatch(/^Source .+ breaks a rule: /)
    expect(error.context['rule']).toContain(rule)
  })

  test('asks how much of a source that does not end is to be read', async () => {
    const { code, message } = await refusal(assertConnector(generator({ make: (n) => n })))
    expect(code).toBe('CFG_INVALID')
    expect(message).toContain('does not end. Say how many records to read')
  })
})
