import { assertNever } from '#runtime/base/errors'
import type { StorageConfig } from '#runtime/contract/process-config'
import type { CheckpointStore } from './checkpoint-store.ts'
import { FileStore } from './file-store.ts'
import { S3Store } from './s3-store.ts'

/** The store that `config` names; every key is below its `root`. Does no I/O. */
export function openStore(config: StorageConfig): CheckpointStore {
  switch (config.type) {
    case 'file':
      return new FileStore(config.root)
    case 's3':
      return new S3Store({ bucket: config.bucket, root: config.root, access: config.access })
    default:
      return assertNever(config)
  }
}
