import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { vi } from 'vitest'
import { blackhole } from '#runtime/connectors/blackhole/sink'
import { collect } from '#runtime/connectors/collect/sink'
import { files } from '#runtime/connectors/files/index'
import { print } from '#runtime/connectors/print/sink'
import { transactionalSink } from '#runtime/connectors/transactional/sink'
import { SystemAccess } from '#runtime/storage/connector-access'
import { hurriedClock } from '#runtime/testing/port-steps'
import { sinkConformance } from '#test/kit/sink-conformance'
import { tempDir } from '#tools/servers/temp-dir'
import { checksumSink } from '../../../bench/checksum-sink.ts'

const access = new SystemAccess(undefined, hurriedClock())
const isHidden = (name: string): boolean => name.startsWith('.')

async function namesIn(directory: string): Promise<string[]> {
  await mkdir(directory, { recursive: true })
  return readdir(directory)
}

const textsOf = async (directory: string): Promise<(readonly [name: string, text: string])[]> => {
  const names = (await namesIn(directory)).filter((name) => !isHidden(name))
  return Promise.all(
    names.map(async (name) => [name, await readFile(join(directory, name), 'utf8')] as const),
  )
}

sinkConformance('files.jsonl, local', {
  async place() {
    const root = await tempDir('conformance')
    const [out, elsewhere] = [join(root.path, 'out'), join(root.path, 'elsewhere')]
    await mkdir(elsewhere)
    const each = async (act: (path: string, name: string) => Promise<void>): Promise<void> => {
      for (const name of await namesIn(out)) if (!isHidden(name)) await act(join(out, name), name)
    }
    return {
      sink: () => files.jsonl<number>(out),
      access,
      async visible() {
        const texts = await textsOf(out)
        return new Map(texts.map(([name, text]) => [name, text.trim().split('\n').map(Number)]))
      },
      hidden: async () => (await namesIn(out)).filter((name) => isHidden(name) && !name.endsWith('.marker')),
      take: {
        delete: () => each((path) => rm(path)),
        move: () => each((path, name) => rename(path, join(elsewhere, name))),
      },
      [Symbol.asyncDispose]: () => root.remove(),
    }
  },
})

sinkConformance('transactionalSink', {
  usesPorts: false,
  async place() {
    const root = await tempDir('conformance')
    const pending = (id: string): string => join(root.path, `.${id}`)
    return {
      sink: () =>
        transactionalSink<number, string>({
          name: 'files',
          async prepare(rows, id) {
            await writeFile(pending(id), rows.join('\n'))
            return id
          },
          async commit(id) {
            if (!(await namesIn(root.path)).includes(id)) await rename(pending(id), join(root.path, id))
          },
          async removeAbandoned(isAbandoned) {
            const ids = (await namesIn(root.path)).filter(isHidden).map((name) => name.slice(1))
            for (const id of ids.filter(isAbandoned)) await rm(pending(id))
          },
        }),
      access,
      async visible() {
        const texts = await textsOf(root.path)
        return new Map(texts.map(([name, text]) => [name, text.split('\n').map(Number)]))
      },
      hidden: async () => (await namesIn(root.path)).filter(isHidden),
      [Symbol.asyncDispose]: () => root.remove(),
    }
  },
})

sinkConformance('the checksum sink of the benchmarks', {
  usesPorts: false,
  async place() {
    const root = await tempDir('conformance')
    return {
      sink: () => checksumSink<number>(root.path, (value) => value),
      access,
      async visible() {
        const parts = (await textsOf(root.path)).map(([name, text]) => {
          const { sum, count } = JSON.parse(text) as { sum: number; count: number }
          const values = Array.from({ length: 50 }, (_, n) => 2 ** n).filter(
            (value) => Math.floor(sum / value) % 2 === 1,
          )
          if (values.length !== count) throw new Error(`${count} records with a sum of ${sum}`)
          return [name, values] as const
        })
        return new Map(parts)
      },
      [Symbol.asyncDispose]: () => root.remove(),
    }
  },
})

sinkConformance('collect', {
  usesPorts: false,
  place() {
    const collected: number[] = []
    const sink = collect<number>(collected)
    return Promise.resolve({
      sink: () => sink,
      access,
      visible: () => Promise.resolve(new Map([['collected', collected]])),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    })
  },
})

sinkConformance('print', {
  guarantee: 'at-least-once',
  usesPorts: false,
  place() {
    const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true)
    const printed = (): number[] =>
      write.mock.calls.flatMap(([text]) => String(text).trim().split('\n')).map(Number)
    return Promise.resolve({
      sink: () => print<number>(),
      access,
      visible: () => Promise.resolve(new Map([['printed', printed()]])),
      [Symbol.asyncDispose]() {
        write.mockRestore()
        return Promise.resolve()
      },
    })
  },
})

sinkConformance('blackhole', {
  guarantee: 'at-least-once',
  usesPorts: false,
  place: () =>
    Promise.resolve({
      sink: () => blackhole<number>({ checksum: true }),
      access,
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
})
