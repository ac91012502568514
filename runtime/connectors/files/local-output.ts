import { join } from 'node:path'
import { WeirError } from '#runtime/base/errors'
import type { TransactionId } from '#runtime/connectors/sink'
import type { Disk, DiskWriter } from '#runtime/storage/disk'
import type { LocalCommittable, Output, OutputFile, OutputNames } from './output.ts'

const UNFINISHED = '.inprogress'
const MARKER = '.marker'

/**
 * Files of a directory: written under a hidden name (`.weir-<id>-<transaction>.inprogress`),
 * synced, and renamed at commit (local-commit.ts). The first subtask of a sink to write there also
 * leaves the marker of the directory, `.weir-<id>-<attempt>-<subtask>.marker`, which stays.
 */
export class LocalOutput implements Output {
  readonly #directory: string
  readonly #names: OutputNames
  readonly #disk: Disk
  /** The newest look for the marker: one transaction begins while others are being prepared. */
  #marked: Promise<string | undefined> = Promise.resolve(undefined)

  constructor(directory: string, names: OutputNames, disk: Disk) {
    this.#directory = directory
    this.#names = names
    this.#disk = disk
  }

  begin(transaction: TransactionId): OutputFile {
    const path = (name: string): string => join(this.#directory, name)
    const hidden = path(`${this.#hiddenStart}${this.#names.stem(transaction)}${UNFINISHED}`)
    return new LocalOutputFile(hidden, path(this.#names.final(transaction)), this.#disk, {
      directory: this.#directory,
      markDirectory: () => this.#markDirectory(transaction),
    })
  }

  async recover(isDangling: (transaction: TransactionId) => boolean): Promise<void> {
    for (const name of await this.#hiddenNames()) {
      if (!name.endsWith(UNFINISHED)) continue
      const stem = name.slice(this.#hiddenStart.length, -UNFINISHED.length)
      const transaction = this.#names.parseStem(stem)
      if (transaction !== undefined && isDangling(transaction))
        await this.#disk.remove(join(this.#directory, name))
    }
  }

  get #hiddenStart(): string {
    return `.weir-${this.#names.id}-`
  }

  /** Of this sink. None where there is no directory yet. */
  async #hiddenNames(): Promise<string[]> {
    try {
      const entries = await this.#disk.list(this.#directory)
      return entries.map(({ name }) => name).filter((name) => name.startsWith(this.#hiddenStart))
    } catch (error) {
      if (error instanceof WeirError && error.code === 'STO_MISSING') return []
      throw error
    }
  }

  #markDirectory(transaction: TransactionId): Promise<string> {
    const marked = this.#marked
      .catch(() => undefined)
      .then((known) => this.#findOrMakeMarker(known, transaction))
    this.#marked = marked
    return marked
  }

  /**
   * Path of the directory's marker; directory and marker are made when there is none. Two subtasks
   * may make a marker each: both stay.
   */
  async #findOrMakeMarker(
    known: string | undefined,
    { job, sink, attempt, subtask }: TransactionId,
  ): Promise<string> {
    if (known !== undefined && (await this.#disk.stat(known)) !== undefined) return known
    await this.#disk.makeDirectory(this.#directory)
    const found = (await this.#hiddenNames()).filter((name) => name.endsWith(MARKER)).sort()[0]
    if (found !== undefined) return join(this.#directory, found)
    const path = join(this.#directory, `${this.#hiddenStart}${attempt}-${subtask}${MARKER}`)
    const writer = await this.#disk.create(path)
    try {
      await writer.append(Buffer.from(`${JSON.stringify({ job, sink })}\n`))
      await writer.sync()
    } finally {
      await writer.close()
    }
    await this.#disk.syncDirectory(this.#directory)
    return path
  }
}

interface Surroundings {
  readonly directory: string
  /** Makes directory and marker where they are missing, and gives the path of the marker. */
  markDirectory(): Promise<string>
}

class LocalOutputFile implements OutputFile {
  readonly #hidden: string
  readonly #final: string
  readonly #disk: Disk
  readonly #around: Surroundings
  #open: { readonly writer: DiskWriter; readonly marker: string } | undefined

  constructor(hidden: string, final: string, disk: Disk, around: Surroundings) {
    this.#hidden = hidden
    this.#final = final
    this.#disk = disk
    this.#around = around
  }

  async append(bytes: Buffer): Promise<void> {
    const { writer } = await this.#opened()
    await writer.append(bytes)
  }

  async finish(): Promise<LocalCommittable> {
    const { writer, marker } = await this.#opened()
    await writer.sync()
    await writer.close()
    await this.#disk.syncDirectory(this.#around.directory)
    return { type: 'local', hidden: this.#hidden, final: this.#final, marker }
  }

  async discard(): Promise<void> {
    if (this.#open === undefined) return
    await this.#open.writer.close()
    await this.#disk.remove(this.#hidden)
  }

  async #opened() {
    return (this.#open ??= {
      marker: await this.#around.markDirectory(),
      writer: await this.#disk.create(this.#hidden),
    })
  }
}
