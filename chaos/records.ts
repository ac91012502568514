/**
 * The input of a run and what must come out of it: pure functions of the seed, so that the oracle
 * needs nothing that went through the product.
 */
import { Random } from '#sim/random'

export interface InputRecord {
  readonly key: string
  /** Unlike every other record's. */
  readonly id: number
  readonly value: number
}

/** One for each input record: what the job knew of the key when it had taken the record in. */
export interface OutputRecord {
  readonly key: string
  readonly id: number
  /** Records of the key so far, this one included. */
  readonly count: number
  /** Of their values. */
  readonly sum: number
}

export const RECORDS_PER_FILE = 200
const KEYS = 97
const LARGEST_VALUE = 1_000_000

/** The records of input file `index` (from 0). */
export function recordsOfFile(seed: number, index: number): InputRecord[] {
  const random = new Random(Math.imul(seed, 0x9e3779b1) ^ (index + 1))
  return Array.from({ length: RECORDS_PER_FILE }, (_, at) => ({
    key: `key-${random.between(0, KEYS - 1)}`,
    id: index * RECORDS_PER_FILE + at,
    value: random.between(1, LARGEST_VALUE),
  }))
}

/** The records of the first `files` input files. */
export const recordsOf = (seed: number, files: number): InputRecord[] =>
  Array.from({ length: files }, (_, index) => recordsOfFile(seed, index)).flat()
