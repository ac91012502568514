import { assertNever, WeirError } from '#runtime/base/errors'
import type { S3Access, StorageConfig } from '#runtime/contract/process-config'
import type { CheckpointStore } from './checkpoint-store.ts'
import { FileStore } from './file-store.ts'
import { S3Store } from './s3-store.ts'
import { parseStorageUrl } from './storage-url.ts'

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

/** The store whose keys are below `url`. `access` is needed for s3:// only. Close it when done. */
export function openStoreAt(url: string, access: S3Access | undefined): CheckpointStore {
  const parsed = parseStorageUrl(url)
  if (parsed.type === 'file') return openStore({ type: 'file', root: parsed.path })
  if (access === undefined)
    throw new WeirError(
      'CFG_INVALID',
      `Cannot open ${url}: the job has no S3 settings. ` +
        'Give it S3 storage or the block s3 with region and credentials.',
    )
  return openStore({ type: 's3', bucket: parsed.bucket, root: parsed.key, access })
}
