/**
 * Where file sinks put their output, and how it is named. A sink's files carry an id made of the
 * uids of job and sink, and the transaction: `part-<subtask>-<after>-<attempt>-<id>.jsonl`. No two
 * transactions have the same name, and none is used again, so who finds such a name knows whose it
 * is.
 */
import { createHash } from 'node:crypto'
import type { TransactionId } from '#runtime/connectors/sink'

/** What makes a finished file visible; stored in checkpoints, so it names everything by itself. */
export type FileCommittable = LocalCommittable | S3Committable

export interface LocalCommittable {
  readonly type: 'local'
  /** Path of the finished file, whose name begins with a dot. */
  readonly hidden: string
  readonly final: string
  /** Path of the file that tells the directory from others of the same path. */
  readonly marker: string
}

export interface S3Committable {
  readonly type: 's3'
  readonly bucket: string
  /** Key of the finished object, below a segment that begins with a dot. */
  readonly staged: string
  readonly final: string
  readonly sizeBytes: number
}

/** A directory of a disk or a prefix in a bucket. */
export interface Output {
  /** A new file that nobody sees before its commit. */
  begin(transaction: TransactionId): OutputFile
  /** Removes what is stored for dangling transactions. */
  recover(isDangling: (transaction: TransactionId) => boolean): Promise<void>
}

/** Where one sink writes, under its own name and under those that it had before. */
export interface Outputs {
  readonly own: Output
  /** Only for what was left there: nothing is written under these names any more. */
  readonly former: readonly Output[]
}

/** Calls are made one after the other. */
export interface OutputFile {
  append(bytes: Buffer): Promise<void>
  /** Durable when it resolves. */
  finish(): Promise<FileCommittable>
  /** Instead of finish: removes what there is, as far as possible. */
  discard(): Promise<void>
}

/** Names of one sink's files. */
export class OutputNames {
  /** Tells this sink of this job from every other that writes to the same place. */
  readonly id: string
  readonly #job: string
  readonly #sink: string

  constructor(job: string, sink: string) {
    this.#job = job
    this.#sink = sink
    this.id = createHash('sha256').update(`${job}\0${sink}`).digest('hex').slice(0, 12)
  }

  final({ subtask, attempt, after }: TransactionId): string {
    return `part-${subtask}-${after}-${attempt}-${this.id}.jsonl`
  }

  /** Whose file a final name is, if it is one of this sink. */
  parseFinal(name: string): TransactionId | undefined {
    const match = /^part-(\d+)-(\d+)-(\d+\.\d+)-([0-9a-f]{12})\.jsonl$/.exec(name)
    if (match === null || match[4] !== this.id) return undefined
    return this.#transaction(match[3], match[1], match[2])
  }

  /** Names the transaction among those of this sink. */
  stem({ subtask, attempt, after }: TransactionId): string {
    return `${attempt}-${subtask}-${after}`
  }

  parseStem(stem: string): TransactionId | undefined {
    const match = /^(\d+\.\d+)-(\d+)-(\d+)$/.exec(stem)
    return match === null ? undefined : this.#transaction(match[1], match[2], match[3])
  }

  #transaction(attempt = '', subtask = '', after = ''): TransactionId {
    return { job: this.#job, sink: this.#sink, subtask: Number(subtask), attempt, after: Number(after) }
  }
}
