import type { S3Access, StorageConfig } from '#runtime/contract/process-config'
import type { CheckpointStore } from './checkpoint-store.ts'
import { openStore, openStoreAt } from './open-store.ts'
import { s3AccessOf } from './storage-url.ts'

/** The stores that a process of a job reads and writes. */
export interface Stores {
  /** The job's own: every key is below its root. */
  readonly own: CheckpointStore
  /**
   * The store whose keys are below a URL: savepoints elsewhere, other jobs' checkpoints. The caller
   * closes it. @throws {WeirError} CFG_INVALID
   */
  at(url: string): CheckpointStore
}

export interface StoresConfig {
  readonly storage: StorageConfig
  readonly s3?: S3Access | undefined
}

/** Does no I/O. */
export function openStores(config: StoresConfig): Stores {
  return { own: openStore(config.storage), at: (url) => openStoreAt(url, s3AccessOf(config)) }
}
