import { createHash } from 'node:crypto'
import type { SinkContext } from '#runtime/connectors/sink'
import type { S3Part } from '#runtime/storage/s3-objects'

/** What makes a finished file visible; stored in checkpoints, so it names everything by itself. */
export type FileCommittable =
  | { readonly type: 'local'; readonly temporary: string; readonly final: string }
  | {
      readonly type: 's3'
      readonly bucket: string
      readonly key: string
      readonly uploadId: string
      readonly parts: readonly S3Part[]
    }

/** Where a sink writes: a directory of the machine or a prefix in a bucket. */
export interface Output {
  /**
   * A new file that nobody sees before its commit. `number` is unique in this subtask and attempt.
   */
  begin(number: number): OutputFile
  /**
   * Removes unfinished files of older attempts of this sink of this job, but none of `restored`.
   */
  recover(restored: readonly FileCommittable[]): Promise<void>
  close(): void
}

/** Calls are made one after the other. */
export interface OutputFile {
  append(bytes: Buffer): Promise<void>
  /** Durable when it resolves. */
  finish(): Promise<FileCommittable>
  /** Instead of finish: removes what there is, as far as possible. */
  discard(): Promise<void>
}

/**
 * Names of one sink's files. `id` tells this sink of this job from every other that writes to the
 * same place.
 */
export class OutputNames {
  readonly #context: Pick<SinkContext, 'job' | 'uid' | 'subtask' | 'attempt'>
  readonly #id: string

  constructor(context: Pick<SinkContext, 'job' | 'uid' | 'subtask' | 'attempt'>) {
    this.#context = context
    this.#id = createHash('sha256').update(`${context.job.uid}\0${context.uid}`).digest('hex').slice(0, 12)
  }

  /** Unique: attempts are never used twice. */
  final(number: number): string {
    const { subtask, attempt } = this.#context
    return `part-${subtask}-${number}-${attempt}-${this.#id}.jsonl`
  }

  /** Hidden from readers by the dot. */
  temporary(number: number): string {
    const { subtask, attempt } = this.#context
    return `.weir-${this.#id}-${attempt}-${subtask}-${number}.inprogress`
  }

  isOlderTemporary(name: string): boolean {
    const match = /^\.weir-([0-9a-f]{12})-(\d+\.\d+)-\d+-\d+\.inprogress$/.exec(name)
    return match !== null && match[1] === this.#id && this.#isOlder(match[2] as string)
  }

  isOlderFinal(name: string): boolean {
    const match = /^part-\d+-\d+-(\d+\.\d+)-([0-9a-f]{12})\.jsonl$/.exec(name)
    return match !== null && match[2] === this.#id && this.#isOlder(match[1] as string)
  }

  #isOlder(attempt: string): boolean {
    const [epoch = 0, n = 0] = attempt.split('.').map(Number)
    const [ownEpoch = 0, ownN = 0] = this.#context.attempt.split('.').map(Number)
    return epoch < ownEpoch || (epoch === ownEpoch && n < ownN)
  }
}
