/** The try-out S3 server as it is reached from outside, also after its pod has died. */
import { sleep, systemClock } from '#runtime/base/clock'
import type { Cluster } from '#tools/cluster/cluster'
import { TryOutStore } from '#tools/word-count/try-out-store'
import { NAMESPACE, RELEASE } from '../../scripts/cluster/install.ts'
import { type Output, OutputReader } from '../output.ts'

/** Of one use; the first one after the pod has died reads all output again. */
const LIMIT_MS = 60_000

export class ReachedStore implements AsyncDisposable {
  readonly #cluster: Cluster
  #store: Promise<TryOutStore> | undefined

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  /** A way that has failed is not used again. @throws when `work` does, or there is no way */
  async use<T>(work: (store: TryOutStore) => Promise<T>): Promise<T> {
    const used = (this.#store ??= TryOutStore.open(this.#cluster, NAMESPACE, `${RELEASE}-s3`))
    const over = new AbortController()
    const late = sleep(systemClock, LIMIT_MS, over.signal).then(() => {
      throw new Error(`The S3 server has not answered within ${LIMIT_MS} ms.`)
    })
    try {
      return await Promise.race([used.then(work), late])
    } catch (error) {
      if (this.#store === used) await this.#close()
      throw error
    } finally {
      over.abort()
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#close()
  }

  async #close(): Promise<void> {
    const used = this.#store
    this.#store = undefined
    await used?.then(
      (store) => store[Symbol.asyncDispose](),
      () => undefined,
    )
  }
}

/** The committed files below a prefix, by copies in `directory`. */
export class PublishedOutput {
  readonly #store: ReachedStore
  readonly #prefix: string
  readonly #directory: string
  readonly #reader: OutputReader

  constructor(store: ReachedStore, prefix: string, directory: string) {
    this.#store = store
    this.#prefix = prefix
    this.#directory = directory
    this.#reader = new OutputReader(directory)
  }

  /** @throws when the server does not answer */
  async read(): Promise<Output> {
    await this.#store.use((store) => store.download(this.#prefix, this.#directory))
    return await this.#reader.read()
  }
}
