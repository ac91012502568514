import type { ConnectorAccess } from '#runtime/storage/connector-access'
import type { FilePattern } from './file-pattern.ts'
import type { FileTree } from './file-tree.ts'
import { LocalFileTree } from './local-file-tree.ts'
import { S3FileTree } from './s3-file-tree.ts'

/** @throws {WeirError} CFG_INVALID when it is on S3 and the job has no S3 settings. */
export function openFileTree(pattern: FilePattern, access: ConnectorAccess): FileTree {
  return pattern.bucket === undefined
    ? new LocalFileTree(pattern, access.disk)
    : new S3FileTree(pattern, access.bucket(pattern.bucket))
}
